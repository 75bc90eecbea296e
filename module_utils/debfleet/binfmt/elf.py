# SPDX-License-Identifier: GPL-3.0-or-later
"""What the first bytes of a program tell."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..architectures import TABLE, Architecture

HEADER = 20
PT_INTERP = 3
OF_EVERY_TREE = ("usr/bin/dpkg", "usr/bin/env", "bin/busybox", "usr/bin/busybox")


def matches(row: Architecture, header: bytes) -> bool:
    """Whether these first bytes are those of a program of this architecture."""
    magic, mask = row.elf_magic()
    return len(header) >= HEADER and all(
        byte & bits == want & bits for byte, want, bits in zip(header, magic, mask, strict=False)
    )


def is_program(header: bytes) -> bool:
    """Whether these first bytes are those of an ELF program or shared object, of whatever architecture."""
    return len(header) >= HEADER and any(matches(row, header) for row in TABLE.values())


def architecture_of(root: Path) -> Architecture | None:
    """A tree's architecture, by a program of it that is a file in every tree; None where it has none.

    Of architectures whose programs look alike (armel, armhf), the one whose dynamic loader is there.
    """
    for name in OF_EVERY_TREE:
        path = root / name
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            header = file.read(HEADER)
        found = [row for row in TABLE.values() if matches(row, header)]
        return next((row for row in found if _has_loader(root, row)), found[0] if found else None)
    return None


def _has_loader(root: Path, row: Architecture) -> bool:
    where = row.interpreter.lstrip("/")
    return any((root / folder / where).is_symlink() or (root / folder / where).exists() for folder in ("", "usr"))


def is_static(file: Path) -> bool:
    """Whether a program needs no dynamic loader: it has no segment that names one (PT_INTERP)."""
    with file.open("rb") as stream:
        head = stream.read(64)
        if len(head) < 52:
            return False
        wide, number = head[4] == 2, partial(_number, big=head[5] == 2)
        at = (32, 8, 54) if wide else (28, 4, 42)
        start, size, count = number(head, at[0], at[1]), number(head, at[2], 2), number(head, at[2] + 2, 2)
        stream.seek(start)
        segments = stream.read(size * count)
    return PT_INTERP not in {number(segments, n * size, 4) for n in range(count)}


def _number(data: bytes, at: int, size: int, *, big: bool) -> int:
    return int.from_bytes(data[at : at + size], "big" if big else "little")
