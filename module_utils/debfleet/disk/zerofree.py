# SPDX-License-Identifier: GPL-3.0-or-later
"""Free blocks of a disk's filesystems that still hold something: found, and made holes of.

A disk of ours is put together from a tree, so there are hardly any. Only ext tells its free blocks to somebody who
doesn't mount it; xfs and btrfs are left alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..run import run
from . import sparse

BLOCK_SIZE = re.compile(r"^Block size:\s+(\d+)$", re.MULTILINE)
FREE = re.compile(r"^  Free blocks: (.+)$", re.MULTILINE)
BLOCK, CHUNK = 1 << 12, 1 << 20
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
    """The parts of a disk's ranges that hold something other than zeros, by blocks of 4 KiB."""
    with disk.open("rb") as file:
        for begin, end in ranges:
            for start, stop in sparse.extents(file.fileno(), begin, end):
                for at in range(start, stop, CHUNK):
                    data = os.pread(file.fileno(), min(CHUNK, stop - at), at)
                    if data.count(0) < len(data):
                        yield from _blocks(data, at)


def _blocks(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    for offset in range(0, len(data), BLOCK):
        block = data[offset : offset + BLOCK]
        if block.count(0) < len(block):
            yield at + offset, at + offset + len(block)


def zerofree(disk: Path, layout: Mapping[str, Any]) -> int:
    """Make holes of all free blocks. Returns how many bytes of them took room before."""
    given = 0
    for part in layout["partitions"]:
        if part.get("filesystem") in EXT:
            ranges = list(free(disk, part["start"]))
            if there := sum(end - begin for begin, end in held(disk, ranges)):
                for begin, end in ranges:
                    sparse.clear(disk, begin, end - begin)
                given += there
    return given
