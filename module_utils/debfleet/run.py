# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to run a program: list of arguments, C locale, logged with its output and seconds, ended with us.

A child dies with this process, however this process ends (the kernel's parent death signal, by setpriv). What a child
starts itself dies with it only inside a PID namespace: see namespace.py.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from . import journal
from .errors import DebfleetError, Interrupted, MissingError

LAST_LINES = 15
LONGEST_WORD = 120
PATIENCE = 5.0  # seconds that a program has to end by itself when we end
MOST_BEFORE = 6  # words that may stand before `unshare` and it: those of userns.py and binfmt/enter.py
CHUNK = 1 << 16
UMASK = 0o022  # whatever the user's: what a program makes may be part of an image
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandError(DebfleetError):
    """A program ended with an error: argv, returncode, and its output."""

    def __init__(self, argv: Sequence[str], returncode: int, output: str) -> None:
        self.argv, self.returncode, self.output = list(argv), returncode, output
        ended = f"ended by signal {-returncode}" if returncode < 0 else f"exit {returncode}"
        last = "\n".join(output.strip().splitlines()[-LAST_LINES:])
        command = " ".join(shlex.quote(_short(word)) for word in argv)
        super().__init__(f"{journal.masked(command)}: {ended}", why=journal.masked(last))


def _short(word: str) -> str:
    """A word as an error shows it: the first line, and not all of a long one. The log has it whole."""
    first = word.strip().partition("\n")[0]
    return word if word == first and len(word) <= LONGEST_WORD else first[:LONGEST_WORD] + " …"


@dataclass(frozen=True)
class Done:
    """A program that ended: its output as text, and how long it took in seconds."""

    argv: list[str]
    returncode: int
    stdout: str
    stderr: str
    seconds: float


def find(program: str, package: str = "") -> str:
    """The path of a program, also in the sbin folders. Raises MissingError, naming the Debian package that has it."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SEARCH}")
    if path is None:
        hint = f"apt-get install {package}" if package else "make setup installs what debfleet needs"
        raise MissingError(f"{program} is not installed", hint=hint)
    return path


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | bytes | None = None,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    shown: Sequence[str] | None = None,
    on_line: Callable[[str], None] | None = None,
    pass_fds: Sequence[int] = (),
) -> Done:
    """Run a program to its end and return what it said.

    :param argv: the program and its arguments; never a shell line.
    :param stdin: what it reads; nothing when None.
    :param env: variables on top of this process's environment; LC_ALL is C.UTF-8 unless given here.
    :param check: raise CommandError when it ends with other than 0.
    :param shown: the command as the log and errors show it, where argv is wrapped in what a reader need not see.
    :param on_line: called with each line of its output (stdout and stderr together) as it comes, and with each
        state of a line that it writes over.
    """
    command = [str(word) for word in argv]
    said = list(shown or command)
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "", **(env or {})}
    environment["PATH"] = f"{environment.get('PATH', '')}:{SEARCH}"
    find(command[0])
    journal.log(f"+ {shlex.join(said)}")
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        feed = stack.enter_context(tempfile.TemporaryFile())
        feed.write(stdin.encode() if isinstance(stdin, str) else stdin or b"")
        feed.seek(0)
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            stdin=feed,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
            umask=UMASK,
        )
        stack.callback(end_group, process, 0.0 if "unshare" in command[:MOST_BEFORE] else PATIENCE)
        assert process.stdout is not None and process.stderr is not None
        out: list[str] = []
        err: list[str] = []
        readers = [
            threading.Thread(target=_read, args=(process.stdout, out, on_line), daemon=True),
            threading.Thread(target=_read, args=(process.stderr, err, on_line), daemon=True),
        ]
        for reader in readers:
            reader.start()
        process.wait()
        for reader in readers:
            reader.join()
        process.stdout.close()
        process.stderr.close()
    done = Done(said, process.returncode, "".join(out), "".join(err), time.monotonic() - start)
    journal.log(f"= exit {done.returncode} after {done.seconds:.2f} s")
    if check and done.returncode != 0:
        error = CommandError(said, done.returncode, done.stderr or done.stdout)
        journal.failed(
            argv=command,
            told=error.what,
            env=dict(env or {}),
            cwd=str(cwd) if cwd else None,
            stdin=stdin if isinstance(stdin, str) else None,
            fds=list(pass_fds),
        )
        raise error
    return done


def _read(pipe: IO[bytes], lines: list[str], on_line: Callable[[str], None] | None) -> None:
    """Collect a program's lines. One that ends in a carriage return, as progress does, is seen but not logged."""
    rest = b""
    while True:
        chunk = os.read(pipe.fileno(), CHUNK)
        *whole, rest = _split(rest + chunk) if chunk else [rest, b""]
        for raw in filter(None, whole):
            line = raw.decode(errors="replace")
            lines.append(line)
            text = line.rstrip("\r\n")
            if not line.endswith("\r"):
                journal.log("| " + text)
            if on_line:
                on_line(text)
        if not chunk:
            return


def _split(text: bytes) -> list[bytes]:
    """The lines that are whole, with their ends; last what isn't. A carriage return at the end may belong to a pair."""
    pieces = text.splitlines(keepends=True)
    if not pieces or pieces[-1].endswith(b"\n"):
        return [*pieces, b""]
    return pieces


def end_group(process: subprocess.Popen[bytes], patience: float = PATIENCE) -> None:
    """End what is left of a process and of its group: with SIGKILL once `patience` seconds are over.

    unshare(1) ignores SIGTERM while its child runs, and its end is the end of all in its PID namespace: no patience.
    """
    if process.poll() is None and patience:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def raise_on_signals() -> None:
    """Let SIGTERM, SIGINT and SIGHUP raise Interrupted, so that context managers release what they hold."""

    def interrupt(number: int, _frame: object) -> None:
        for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)
