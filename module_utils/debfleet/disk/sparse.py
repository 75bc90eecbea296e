# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse files: making them, copying only what they hold, and making holes in them."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..run import run

CHUNK = 1 << 22
AT_ONCE = 1 << 30


def create(path: Path, size: int) -> None:
    """An empty file of so many bytes that takes no room yet, in the place of any that was there."""
    path.unlink(missing_ok=True)
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.truncate(size)


@contextlib.contextmanager
def beside(disk: Path, size: int) -> Iterator[Path]:
    """A sparse file in the folder of the disk, gone at the end."""
    fd, name = tempfile.mkstemp(prefix=f".{disk.name}.", dir=disk.parent)
    try:
        os.ftruncate(fd, size)
        os.close(fd)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def extents(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The start and end of each piece of data between two offsets of an open file."""
    position = start
    while position < end:
        try:
            position = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        if position >= end:
            return
        stop = min(os.lseek(fd, position, os.SEEK_HOLE), end)
        yield position, stop
        position = stop


def splice(source: Path, target: Path, at: int) -> None:
    """Copy what the source holds into the target from offset `at` on; its holes are left out."""
    with source.open("rb") as reading, target.open("r+b") as writing:
        a, b = reading.fileno(), writing.fileno()
        for start, stop in extents(a, 0, os.fstat(a).st_size):
            _copy(a, b, start, stop, at)


def _copy(a: int, b: int, position: int, stop: int, at: int) -> None:
    while position < stop:
        try:
            count = os.copy_file_range(a, b, min(stop - position, AT_ONCE), position, at + position)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            count = os.pwrite(b, os.pread(a, min(stop - position, CHUNK), position), at + position)
        if count == 0:
            raise OSError(errno.EIO, "the file became shorter while it was copied")
        position += count


def has_data(path: Path, start: int, size: int) -> bool:
    """Whether any of a file's range takes room."""
    with path.open("rb") as file:
        return next(extents(file.fileno(), start, start + size), None) is not None


def clear(path: Path, start: int, size: int) -> None:
    """Make a hole of a file's range, so that nothing is left of what was there. Raises CommandError."""
    if has_data(path, start, size):
        run(["fallocate", "--punch-hole", "--offset", str(start), "--length", str(size), path])
