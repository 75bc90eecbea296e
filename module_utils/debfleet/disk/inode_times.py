# SPDX-License-Identifier: GPL-3.0-or-later
"""Times of an ext filesystem's inodes that say when it was made, set to the moment that a reproducible build is told.

``mke2fs -d`` copies each file's time of access and of change, and nobody can set the latter in a tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import DebfleetError
from ..run import run
from .shape import Partition

ROOT, FIRST = 2, 11  # the inodes between are the filesystem's own
COUNT = re.compile(r"^Inode count:\s+(\d+)$", re.MULTILINE)
FREE = re.compile(r"^  Free inodes: (.*)$", re.MULTILINE)
FIELDS = ("atime", "ctime")


def used(said: str) -> Iterator[int]:
    """The inodes that files have, from what dumpe2fs says."""
    ranges = [one for line in FREE.findall(said) for one in line.split(", ") if one]
    after = FIRST
    yield ROOT
    for one in [*ranges, str(int((COUNT.search(said) or [0, 0])[1]) + 1)]:
        first, _, last = one.partition("-")
        yield from range(after, int(first))
        after = max(after, int(last or first) + 1)


def unify(disk: Path, part: Partition, seconds: int) -> None:
    """Let every file have been read and changed at one time, in seconds since 1970."""
    at = f"{disk}?offset={part.start}"
    inodes = list(used(run(["dumpe2fs", at]).stdout))
    script = "".join(f"set_inode_field <{inode}> {field} @{seconds}\n" for inode in inodes for field in FIELDS)
    done = run(["debugfs", "-w", "-f", "-", at], stdin=script, env={"E2FSPROGS_FAKE_TIME": str(seconds)})
    said = [line for line in done.stderr.splitlines() if not line.startswith("debugfs 1")]
    if said:
        raise DebfleetError(f"could not set the times of {part.mount}", why="\n".join(said[:15]))
