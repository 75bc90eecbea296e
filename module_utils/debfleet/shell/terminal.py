# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a program with our own terminal, or our own streams, in its hands. It dies with us, however we die."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..run import SEARCH, find

KEYS = (signal.SIGINT, signal.SIGQUIT)  # what keys send to all that share the terminal


def in_foreground(pid: int) -> bool:
    """Whether a process was started from a terminal and may read what is typed there."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    group, _session, terminal, foreground = stat.rpartition(")")[2].split()[2:6]
    return terminal != "0" and group == foreground


@contextlib.contextmanager
def controlling() -> Iterator[int]:
    """A descriptor of the terminal that this process was started from. Raises OSError where there is none."""
    fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def attached(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    terminal: int | None = None,
) -> int:
    """Run a program to its end with our standard streams, and return its exit code; 128 + N when signal N ended it.

    :param env: its whole environment; ours when None.
    :param terminal: a descriptor of a terminal to give it in place of our streams.
    """
    environment = dict(os.environ if env is None else env)
    environment["PATH"] = f"{environment.get('PATH', '')}:{SEARCH}"
    command = [find("setpriv"), "--pdeathsig", "KILL", "--", *map(str, argv)]
    watched = 0 if terminal is None else terminal
    with _lent(watched):
        process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment, cwd=cwd)
        try:
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _lent(fd: int) -> Iterator[None]:
    """Lend a terminal: its keys are for who has it, and it comes back as it was. Nothing, where it is none."""
    if not os.isatty(fd):
        yield
        return
    settings = termios.tcgetattr(fd)
    # Handlers, not SIG_IGN, which the program would inherit.
    before = {number: signal.signal(number, lambda *_: None) for number in KEYS}
    try:
        yield
    finally:
        # A shell with job control leaves its own process group in the foreground: we are in the background now.
        stopped = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with contextlib.suppress(OSError, termios.error):
            os.tcsetpgrp(fd, os.getpgrp())
            termios.tcsetattr(fd, termios.TCSADRAIN, settings)
        signal.signal(signal.SIGTTOU, stopped)
        for number, handler in before.items():
            signal.signal(number, handler)
