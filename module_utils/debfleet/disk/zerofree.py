# SPDX-License-Identifier: GPL-3.0-or-later
"""Free blocks of a disk's filesystems that still hold something: found, and made holes of.

A disk of ours is put together from a tree, so there are hardly any. Only ext tells its free blocks to somebody who
doesn't mount it; xfs and btrfs are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..run import run
from . import sparse

BLOCK_SIZE = re.compile(r"^Block size:\s+(\d+)$", re.MULTILINE)
FREE = re.compile(r"^  Free blocks: (.+)$", re.MULTILINE)
EXT = ("ext2", "ext3", "ext4")


def free(disk: Path, start: int) -> Iterator[tuple[int, int]]:
    """The free ranges of the ext filesystem that begins at byte `start` of a disk, as offsets in the disk.

    Raises CommandError where there is none.
    """
    said = run(["dumpe2fs", f"{disk}?offset={start}"]).stdout
    block = int((BLOCK_SIZE.search(said) or [0, 0])[1])
    for ranges in FREE.findall(said):
        for one in ranges.split(", "):
            first, _, last = one.partition("-")
            yield start + int(first) * block, start + (int(last or first) + 1) * block


def held(disk: Path, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The parts of a disk's ranges that are no holes."""
    with disk.open("rb") as file:
        for begin, end in ranges:
            yield from sparse.extents(file.fileno(), begin, end)


def zerofree(disk: Path, layout: Mapping[str, Any]) -> int:
    """Make holes of all free blocks. Returns how many bytes of them took room before."""
    given = 0
    for part in layout["partitions"]:
        if part.get("filesystem") in EXT:
            for begin, end in list(held(disk, list(free(disk, part["start"])))):
                sparse.clear(disk, begin, end - begin)
                given += end - begin
    return given
