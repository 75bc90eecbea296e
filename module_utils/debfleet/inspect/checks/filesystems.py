# SPDX-License-Identifier: GPL-3.0-or-later
"""Every filesystem is whole: its own checker, run without writing, has nothing to say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from ...run import SEARCH, Done, run
from ..disk import cut_out
from ..results import Result
from ..subject import Filesystem, Subject

Checker = Callable[[Path, Filesystem, Path], Done]


def _ext(raw: Path, found: Filesystem, _scratch: Path) -> Done:
    return run(["e2fsck", "-f", "-n", f"{raw}?offset={found.start}"], check=False)


def _alone(*argv: str) -> Checker:
    """A checker that knows no offset: the filesystem is copied into a file of its own."""

    def check_copy(raw: Path, found: Filesystem, scratch: Path) -> Done:
        copy = cut_out(raw, found, scratch / f"filesystem.{found.number}")
        try:
            return run([*argv, copy], check=False)
        finally:
            copy.unlink(missing_ok=True)

    return check_copy


CHECKERS: dict[str, Checker] = {
    "ext2": _ext,
    "ext3": _ext,
    "ext4": _ext,
    "vfat": _alone("fsck.vfat", "-n"),
    "xfs": _alone("xfs_repair", "-n"),
    "btrfs": _alone("btrfs", "check", "--readonly"),
}
TOOLS = {
    "ext2": "e2fsck",
    "ext3": "e2fsck",
    "ext4": "e2fsck",
    "vfat": "fsck.vfat",
    "xfs": "xfs_repair",
    "btrfs": "btrfs",
}


def check(subject: Subject, result: Result) -> None:
    """e2fsck -fn, fsck.vfat -n, xfs_repair -n, btrfs check --readonly, as each filesystem needs."""
    if subject.raw is None or subject.scratch is None:
        return
    for found in subject.filesystems:
        if found.kind not in CHECKERS:  # swap, or what the check of the disk says is unread
            continue
        tool = TOOLS[found.kind]
        if shutil.which(tool, path=SEARCH) is None:
            result.miss(f"{found}: {tool} is not installed")
            continue
        result.look(str(found))
        done = CHECKERS[found.kind](subject.raw, found, subject.scratch)
        said = " ".join((done.stdout + done.stderr).split())
        if done.returncode >= 8 and found.kind.startswith("ext"):
            result.miss(f"{found}: {said}")
        elif done.returncode or (found.kind.startswith("ext") and "skipping journal recovery" in said):
            result.find(str(found), f"{tool}: {said[:400]}", "build the image again")
