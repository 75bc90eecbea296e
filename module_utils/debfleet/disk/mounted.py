# SPDX-License-Identifier: GPL-3.0-or-later
"""Filling a filesystem that no tool fills from a folder without loss: mounted by a loop device, and ``cp -a``.

The mount is in a namespace of its own and the loop device is autoclear: both are gone with the process, however it
ends. Kept is everything but inode flags (chattr).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import DebfleetError, MissingError
from ..run import CommandError, run
from . import sparse
from .census import Share
from .filling import no_room, run_masked, too_small
from .shape import Partition
from .tools import command

FULL = "No space left on device"
HOST_LEAST = 16 << 20  # free bytes below which the builder's disk is full
NO_MOUNT = ("loop device", "superuser", "unknown filesystem type", "permission denied", "Operation not permitted")
# $1 kind, $2 options, $3 disk, $4 where to mount, $5 source, $6 mode of the top folder or nothing.
COPY = """
set -e
mount -t "$1" -o "$2" "$3" "$4"
cp --archive --no-target-directory -- "$5" "$4"
[ -z "$6" ] || chmod "$6" "$4"
sync --file-system "$4"
umount "$4"
"""


def make(disk: Path, part: Partition, mkfs: list[str]) -> None:
    """Make the filesystem, empty, by a program that knows no offset, or by the manifest's format_command.

    :param mkfs: the program with its options; a file of the partition's size is added.
    """
    sparse.clear(disk, part.start, part.size)
    with sparse.beside(disk, part.size) as file:
        if part.format_command:
            run(command(part, file))
        else:
            run([*mkfs, file])
        sparse.splice(file, disk, part.start)


def fill(
    disk: Path, part: Partition, source: Path, masks: Mapping[Path, Path], share: Share, more: Sequence[str] = ()
) -> None:
    """Copy a folder's content into the filesystem.

    :param more: further options to mount it with.
    :raises DebfleetError: where it doesn't fit or can't be mounted.
    """
    kind = part.filesystem or ""
    options = ",".join(["loop", f"offset={part.start}", f"sizelimit={part.size}", *more])
    with tempfile.TemporaryDirectory(prefix=f".{disk.name}.", dir=disk.parent) as place:
        argv = ["sh", "-c", COPY, "sh", kind, options, str(disk), place, str(source), part.mode or ""]
        try:
            run_masked(argv, masks, apart=True)
        except CommandError as error:
            raise _explained(error, disk, part, share) from error


def _explained(error: CommandError, disk: Path, part: Partition, share: Share) -> DebfleetError:
    free = os.statvfs(disk.parent)
    if free.f_bavail * free.f_frsize < HOST_LEAST:
        return no_room(error.why)
    last = error.output.strip().splitlines()[-1:] or [""]
    if FULL in error.output:
        return too_small(part, share, last[0])
    if any(text in error.output for text in NO_MOUNT):
        return MissingError(
            f"could not mount the {part.filesystem} of {part.name} to fill it",
            why=error.why,
            hint=f"it needs root, a loop device and a kernel that knows {part.filesystem}: "
            f"modprobe --all loop {part.filesystem}",
        )
    return DebfleetError(f"could not fill the {part.filesystem} of {part.name}", why=error.why)
