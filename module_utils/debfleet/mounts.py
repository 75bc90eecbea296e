# SPDX-License-Identifier: GPL-3.0-or-later
"""Where something is mounted, and emptying a folder only where nothing is, so that nothing mounted is removed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .errors import DebfleetError


def mounts_below(folder: Path) -> list[str]:
    """Where something is mounted below a folder, as this process sees it."""
    above = f"{folder.resolve()}/"
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4]) for line in lines]
    return [point for point in points if point.startswith(above)]


def empty(folder: Path) -> None:
    """Remove what is in a folder, and keep the folder.

    :raises DebfleetError: when something is mounted below it, for what is mounted there would be removed too.
    """
    if mounted := mounts_below(folder):
        raise DebfleetError(
            f"will not empty {folder}: something is mounted in it",
            why=", ".join(mounted),
            hint="unmount it: nothing was touched",
        )
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
