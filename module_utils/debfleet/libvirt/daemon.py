# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to libvirt, and its daemon where nobody else runs it.

A user's own session daemon starts by itself, and where systemd runs the system's daemon is systemd's affair. As root
without systemd (a container, a CI job) both qemu:///system and qemu:///session want the system's daemon: then it is
started here. A keeper, a process of its own, holds the daemon and ends it when we are done or dead, but not before the
last of us who use it.

That daemon sees settings of ours in place of /etc/libvirt, in a mount namespace; the machine's stay as they are. QEMU
runs as root in it: another user often may not open /dev/kvm, and then libvirt 9 asks QEMU for its abilities again and
again (twenty times 4 s before a domain starts), since QEMU's answer differs from what it finds itself.
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
DAEMON = "libvirtd"
SETTINGS = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
stdio_handler = "file"
"""
# the daemon ends with its keeper; $1 is bound over $2, what follows is run
WRAPPED = (
    *("setpriv", "--pdeathsig", "TERM", "--", "unshare", "--mount", "--propagation", "private", "--", "sh", "-c"),
    'mount --bind "$1" "$2" && shift 2 && exec "$@"',
    "sh",
)
START = 30.0  # seconds that the daemon has to answer
END = 15.0  # seconds that it, and the domains of a connection that was cut, have to end


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
    """A connection to libvirt (a virConnect); the daemon is started where nobody runs it.

    Raises MissingError when libvirt isn't there or can't be started.
    """
    uri = uri or default_uri()
    libvirt = library()
    with _daemon(libvirt, uri):
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
def _daemon(libvirt: Any, uri: str) -> Iterator[None]:
    ours = os.geteuid() == 0 and uri.startswith("qemu:///") and not Path("/run/systemd/system").exists()
    if not ours:
        yield
        return
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        starting = stack.enter_context((folder / "libvirt-start.lock").open("w", encoding="utf-8"))
        fcntl.flock(starting, fcntl.LOCK_EX)
        using = stack.enter_context((folder / "libvirt.lock").open("w", encoding="utf-8"))
        fcntl.flock(using, fcntl.LOCK_SH)
        if not _answers(libvirt, uri):
            stack.enter_context(_kept(libvirt, uri, folder / "libvirt.lock"))
        fcntl.flock(starting, fcntl.LOCK_UN)
        stack.callback(using.close)  # before the keeper is waited for
        yield


@contextlib.contextmanager
def _kept(libvirt: Any, uri: str, lock: Path) -> Iterator[None]:
    """The daemon, until the block ends: the keeper reads from a pipe whose other end only we hold."""
    find(DAEMON, "libvirt-daemon-system")
    journal.log("starting libvirtd: nobody else runs it here")
    settings = lock.with_name("libvirt")
    settings.mkdir(exist_ok=True)
    (settings / "qemu.conf").write_text(SETTINGS, encoding="utf-8")
    said = lock.with_name("libvirtd.log")
    reading, writing = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        try:
            _keep(reading, uri, lock, settings, said)
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
            raise MissingError("libvirtd does not start", where=str(said), why="\n".join(errors[-3:]), hint=_hint(uri))
        time.sleep(0.1)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _see_out(keeper: int, lock: Path) -> None:
    """Wait for the keeper to end, unless it goes on because another process uses the daemon too."""
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
    with lock.open(encoding="utf-8") as file:
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


def _keep(reading: int, uri: str, lock: Path, settings: Path, said: Path) -> None:
    """The keeper's life: start the daemon, wait for the pipe's end, wait for other users, end the daemon."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.closerange(3, reading)
    os.closerange(reading + 1, min(os.sysconf("SC_OPEN_MAX"), 1 << 16))
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SEARCH}"}
    environment.pop(MARK, None)  # others may use the daemon when the build that started it is over
    with said.open("wb") as output:
        daemon = subprocess.Popen(
            [*WRAPPED, settings, "/etc/libvirt", DAEMON], stdout=output, stderr=output, env=environment, cwd="/"
        )
        os.read(reading, 1)
        with lock.open(encoding="utf-8") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            _wait_for_domains(uri, environment)
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
            ["virsh", "--connect", uri, "list", "--name", "--transient"],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        if not any(name.startswith(PREFIX) for name in listed.stdout.split()):
            return
        time.sleep(0.2)


def failed(action: str, error: Exception) -> DebfleetError:
    """What libvirt said, as an error of ours."""
    return DebfleetError(f"libvirt could not {action}", why=str(error))
