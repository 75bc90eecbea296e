# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to libvirt, and its daemons where nobody else runs them.

A user's own session daemon starts by itself, and where systemd runs the system's daemon is systemd's affair. As root
without systemd (a container, a CI job) both qemu:///system and qemu:///session want the system's daemon: then it is
started here. A keeper, a process of its own, holds the daemons and ends them when we are done or dead, but not before
the last of us who use them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import journal
from ..errors import DebfleetError, MissingError
from ..ledger import state_folder
from ..run import SEARCH, find
from ..workspace import MARK

PREFIX = "debfleet-"  # the names of our domains begin with it
DAEMONS = ("virtlogd", "libvirtd")  # in the order in which they start; they end the other way round
DIE_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
START = 30.0  # seconds that the daemons have to answer
END = 15.0  # seconds that they, and the domains of a connection that was cut, have to end


def default_uri() -> str:
    """The system's libvirt for root, else the user's own."""
    return "qemu:///system" if os.geteuid() == 0 else "qemu:///session"


def library() -> Any:
    """The libvirt library, told not to print its errors: they are raised anyway."""
    try:
        import libvirt
    except ImportError as error:
        raise MissingError("Python's libvirt bindings are not installed", hint="pip install libvirt-python") from error
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    return libvirt


@contextlib.contextmanager
def connected(uri: str | None = None) -> Iterator[Any]:
    """A connection to libvirt (a virConnect); the daemons are started where nobody runs them.

    Raises MissingError when libvirt isn't there or can't be started.
    """
    uri = uri or default_uri()
    libvirt = library()
    with _daemons(libvirt, uri):
        try:
            connection = libvirt.open(uri)
        except libvirt.libvirtError as error:
            raise MissingError(f"no connection to {uri}", why=str(error), hint=_hint(uri)) from error
        try:
            yield connection
        finally:
            with contextlib.suppress(libvirt.libvirtError):
                connection.close()


def _hint(uri: str) -> str:
    if Path("/run/systemd/system").exists() and uri.startswith("qemu:///system"):
        return "systemctl start libvirtd, and be root or in the group libvirt"
    return "apt-get install libvirt-daemon-system qemu-system-x86"


def _answers(libvirt: Any, uri: str) -> bool:
    try:
        libvirt.open(uri).close()
    except libvirt.libvirtError:
        return False
    return True


@contextlib.contextmanager
def _daemons(libvirt: Any, uri: str) -> Iterator[None]:
    ours = os.geteuid() == 0 and uri.startswith("qemu:///") and not Path("/run/systemd/system").exists()
    if not ours:
        yield
        return
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        starting = stack.enter_context(open(folder / "libvirt-start.lock", "w", encoding="utf-8"))
        fcntl.flock(starting, fcntl.LOCK_EX)
        using = stack.enter_context(open(folder / "libvirt.lock", "w", encoding="utf-8"))
        fcntl.flock(using, fcntl.LOCK_SH)
        if not _answers(libvirt, uri):
            stack.enter_context(_kept(libvirt, uri, folder / "libvirt.lock"))
        fcntl.flock(starting, fcntl.LOCK_UN)
        stack.callback(using.close)  # before the keeper is waited for
        yield


@contextlib.contextmanager
def _kept(libvirt: Any, uri: str, lock: Path) -> Iterator[None]:
    """The daemons, until the block ends: the keeper reads from a pipe whose other end only we hold."""
    for program in DAEMONS:
        find(program, "libvirt-daemon-system")
    journal.log("starting libvirt's daemons: nobody else runs them here")
    said = lock.with_name("libvirtd.log")
    reading, writing = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        try:
            _keep(reading, uri, lock, said)
        finally:
            os._exit(0)
    os.close(reading)
    try:
        _wait_for(libvirt, uri, said)
        yield
    finally:
        os.close(writing)
        _see_out(keeper, lock)


def _wait_for(libvirt: Any, uri: str, said: Path) -> None:
    until = time.monotonic() + START
    while not _answers(libvirt, uri):
        if time.monotonic() > until or "initialization failed" in _read(said):
            errors = [line for line in _read(said).splitlines() if ": error :" in line]
            raise MissingError("libvirt's daemon does not start", where=str(said), why="\n".join(errors[-3:]), hint=_hint(uri))
        time.sleep(0.1)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _see_out(keeper: int, lock: Path) -> None:
    """Wait for the keeper to end, unless it goes on because another process uses the daemons too."""
    until = time.monotonic() + END
    while time.monotonic() < until:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(keeper, os.WNOHANG)[0] == 0:
                if _others(lock):
                    return
                time.sleep(0.05)
                continue
        return


def _others(lock: Path) -> bool:
    """Whether other processes hold the users' lock (the keeper itself takes it exclusively, and soon ends)."""
    with open(lock, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(file, fcntl.LOCK_UN)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _keep(reading: int, uri: str, lock: Path, said: Path) -> None:
    """The keeper's life: start the daemons, wait for the pipe's end, wait for other users, end the daemons."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.closerange(3, reading)
    os.closerange(reading + 1, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") > 0 else 4096)
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SEARCH}"}
    environment.pop(MARK, None)  # others may use the daemons when the build that started them is over
    daemons: list[subprocess.Popen[bytes]] = []
    with open(said, "wb") as output:
        for program in DAEMONS:
            daemons.append(subprocess.Popen([*DIE_WITH_US, program], stdout=output, stderr=output, env=environment, cwd="/"))
        os.read(reading, 1)
        with open(lock, encoding="utf-8") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            _wait_for_domains(uri, environment)
            for daemon in reversed(daemons):
                daemon.terminate()
                try:
                    daemon.wait(END)
                except subprocess.TimeoutExpired:
                    daemon.kill()


def _wait_for_domains(uri: str, environment: dict[str, str]) -> None:
    """Wait until the domains of connections that were cut are destroyed, as libvirt does by itself."""
    until = time.monotonic() + END
    while time.monotonic() < until:
        listed = subprocess.run(
            ["virsh", "--connect", uri, "list", "--name"], check=False, capture_output=True, text=True, env=environment
        )
        if not any(name.startswith(PREFIX) for name in listed.stdout.split()):
            return
        time.sleep(0.2)


def failed(action: str, error: Exception) -> DebfleetError:
    """What libvirt said, as an error of ours."""
    return DebfleetError(f"libvirt could not {action}", why=str(error))
