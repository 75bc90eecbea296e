# SPDX-License-Identifier: GPL-3.0-or-later
"""The work folder of a build and the folder of its root tree: both in the build's ledger before they are made.

Every process of a build carries `DEBFLEET_BUILD=<work folder>` in its environment; that is how none is lost.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import journal, reaper
from .errors import DebfleetError, MissingError
from .ledger import Ledger, heal
from .process import Process
from .sizes import shown

MEMORY = Path("/dev/shm")
MARK = "DEBFLEET_BUILD"
LEDGER = "ledger"  # the file of the work folder that says where the ledger lies
PUBLISHED = "published"  # the file of the work folder that says that the image stands in its place
HEADROOM = 1.6  # a tree grows beyond the packages' own figures: caches, generated files, the initramfs
RESERVE = 1 << 30  # memory left to the rest of the machine


@dataclass(frozen=True)
class Workspace:
    """Where a build works: its id, its folder, and where its log is kept when it fails."""

    build_id: str
    work: Path
    failed_log: Path

    def present(self, owner_pid: int) -> list[str]:
        """Make the work folder, with a ledger that the process `owner_pid` owns. Returns what was healed, in words.

        Raises MissingError where the folder can't be made.
        """
        told = heal()
        ledger = Ledger.open(self.build_id, Process.of(owner_pid))
        try:
            ledger.add("folder", path=str(self.work))
            ledger.add(
                "log",
                path=str(self.work / journal.LOG),
                keep=str(self.failed_log),
                unless=str(self.work / PUBLISHED),
            )
            ledger.add("marked", marker=f"{MARK}={self.work}")
            try:
                self.work.mkdir(mode=0o700, parents=True)
            except OSError as error:
                raise MissingError(
                    "could not make the work folder",
                    where=str(self.work),
                    why=str(error),
                    hint="name another folder: image_build_dir, or bootstrapper.workspace in the manifest",
                ) from error
            (self.work / LEDGER).write_text(str(ledger.path), encoding="utf-8")
            reaper.start(ledger)
        except BaseException:
            ledger.release()
            raise
        return told

    def tree(self, installed_size: int, *, in_memory: bool = False) -> Path:
        """Make the folder for a root tree of about `installed_size` bytes: in memory where it fits, else in the work
        folder, unless it must be `in_memory`. Raises MissingError where it fits in neither.
        """
        needed = int(installed_size * HEADROOM)
        root = self.work / "root"
        if (free := memory_free()) - RESERVE > needed:
            root = MEMORY / f"debfleet-{self.build_id}" / "root"
            held_ledger(self.work).add("folder", path=str(root.parent))
        elif in_memory:
            raise MissingError(
                f"a tree of {shown(needed)} does not fit into memory",
                where="plugins.tmpfs_workspace",
                why=f"{shown(free)} of memory are free, of which {shown(RESERVE)} are left to the rest of the machine",
                hint="free some, or leave tmpfs_workspace out: then the tree lies on the disk",
            )
        elif shutil.disk_usage(self.work).free < needed:
            raise MissingError(
                f"there is no room for a tree of {shown(needed)}",
                where=str(self.work),
                why=f"{shown(memory_free())} of memory and {shown(shutil.disk_usage(self.work).free)} of disk are free",
                hint="free some, or name a larger folder: bootstrapper.workspace in the manifest",
            )
        root.mkdir(mode=0o755, parents=True)
        root.chmod(0o755)
        root.parent.chmod(0o700)
        return root

    def absent(self) -> None:
        """Release all that the build holds. Raises DebfleetError when something could not be released."""
        pointer = self.work / LEDGER
        if not pointer.exists():
            return
        ledger = held_ledger(self.work)
        if troubles := ledger.release():
            raise DebfleetError(
                "could not release all that the build holds",
                where=str(ledger.path),
                why="\n".join(troubles),
                hint="the next build tries again",
            )


def held_ledger(work: str | Path) -> Ledger:
    """The ledger of the build that works in this folder."""
    return Ledger.load(Path((Path(work) / LEDGER).read_text(encoding="utf-8")))


def memory_free() -> int:
    """Bytes that a tree in memory may take: what /dev/shm and the machine's memory both have."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return 0
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return min(available, shutil.disk_usage(MEMORY).free)
