# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes: told apart from later ones of the same pid, and found by a mark in their environment."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 50  # a marked process may be starting another one while we look: look again until none is left


@dataclass(frozen=True)
class Process:
    """A process that can't be mistaken for a later one of the same pid: `start` is its start time in clock ticks."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this pid now; its start is 0 when there is none."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except (FileNotFoundError, ProcessLookupError):
            return cls(pid, 0)
        fields = stat.rpartition(")")[2].split()
        return cls(pid, 0 if fields[0] in "ZX" else int(fields[19]))

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return self.start != 0 and Process.of(self.pid).start == self.start


def marked(marker: str) -> list[Process]:
    """The processes whose environment holds this string, without us and our ancestors."""
    ours = lineage()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) in ours:
            continue
        with contextlib.suppress(OSError):
            if marker.encode() in (folder / "environ").read_bytes().split(b"\0"):
                process = Process.of(int(folder.name))
                if process.alive():
                    found.append(process)
    return found


def lineage() -> set[int]:
    """The pids of us and of our ancestors."""
    pid = os.getpid()
    chain = {pid}
    while pid > 1:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:
            break
        pid = int(stat.rpartition(")")[2].split()[1])
        chain.add(pid)
    return chain


def end_marked(marker: str) -> None:
    """End every process whose environment holds this string: SIGTERM, and SIGKILL for those that don't heed it.

    Raises OSError when some do not end.
    """
    for attempt in range(ROUNDS):
        left = marked(marker)
        if not left:
            return
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM if attempt < ROUNDS // 2 else signal.SIGKILL)
        time.sleep(0.2)
    raise OSError(f"{len(left)} processes of the build do not end")
