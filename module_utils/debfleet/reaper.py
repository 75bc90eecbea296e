# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that outlives a killed build just long enough to clean up after it.

Ansible runs no `always:` on Ctrl-C or SIGTERM, and nothing at all on SIGKILL. So the first step of a build leaves a
small process of its own behind: it waits for the build's owner to end and then releases the build's ledger, if that is
still there. A build that ended properly has no ledger any more, and the reaper just goes.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys

from .ledger import Ledger
from .process import Process


def start(ledger: Ledger) -> None:
    """Leave a detached process behind that releases this ledger when its owner is gone. Returns at once."""
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    try:
        own = Process.of(os.getpid())
        ledger.add("process", pid=own.pid, start=own.start)  # so that it goes with the build
        _become_quiet()
        _wait_for_end(ledger.owner)
        if ledger.path.exists():
            ledger.release()
    finally:
        os._exit(0)


def _become_quiet() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.closerange(3, 1024)
    sys.stdin = sys.stdout = sys.stderr = open(os.devnull, "r+", encoding="utf-8")  # noqa: SIM115 - lives as long as we


def _wait_for_end(process: Process) -> None:
    if not process.alive():
        return
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(process.pid)
        if process.alive():
            select.select([fd], [], [])
        os.close(fd)
