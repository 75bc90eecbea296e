# SPDX-License-Identifier: GPL-3.0-or-later
"""The peak memory of a program's processes, of those that are Python: the tools that they run are not counted."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EVERY = 0.5  # seconds


@dataclass
class Peak:
    """What was seen: the sum of the processes' proportional shares, in MiB, at its highest."""

    mebibytes: float = 0.0


@contextlib.contextmanager
def peak(word: str) -> Iterator[Peak]:
    """Watch the Python processes that have this word in their command line, or begin from one that has."""
    seen, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(EVERY):
            seen.mebibytes = max(seen.mebibytes, sum(map(_share, _processes(word))))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def _processes(word: str) -> list[Path]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                python = "python" in Path(words[0]).name and (word in " ".join(words) or "AnsiballZ" in words[-2])
                found += [entry] if python else []
    return found


def _share(entry: Path) -> float:
    with contextlib.suppress(OSError, StopIteration):
        lines = (entry / "smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024
    return 0.0
