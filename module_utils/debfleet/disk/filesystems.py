# SPDX-License-Identifier: GPL-3.0-or-later
"""The filesystems that a partition can hold: one class for each way of making one, one row of the table for each name.

A further filesystem is a class with `make`, `fill` and `uuid`, and a row. To fill xfs and btrfs they are mounted, in a
namespace of their own; of the others the kernel need not know any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..run import CommandError, run
from . import sparse
from .btrfs import Btrfs
from .census import Share
from .ext import Ext
from .filling import too_small
from .shape import SECTOR, Layout, Partition
from .tools import MTOOLS, at, command, read_at, require_uuid, uuid_text
from .xfs import Xfs

FAT32_LEAST = 40 << 20  # smaller ones have too few clusters for FAT32
FULL = "Disk full"
FAKE_MAP = 0x1BE  # where mformat leaves what grub-probe takes for a partition table


class Filesystem(Protocol):
    """A way of making a filesystem in its place on the disk."""

    @property
    def made_empty(self) -> bool:
        """Whether `make` makes it and it is filled later; else `fill` does both."""

    @property
    def packages(self) -> tuple[str, ...]:
        """The Debian packages by which a machine checks and grows it."""

    @property
    def least(self) -> int:
        """Bytes below which it can't be made; 0 where hardly anything is too small."""

    def make(self, disk: Path, part: Partition) -> None:
        """Make it, empty."""

    def fill(self, disk: Path, part: Partition, source: Path, masks: Mapping[Path, Path], share: Share) -> None:
        """Put the content of a folder into it; `masks` are folders inside, each shown as the empty one beside it."""

    def uuid(self, disk: Path, part: Partition) -> str | None:
        """The UUID of what is there now, if it is one of this kind."""


@dataclass(frozen=True)
class Vfat:
    """FAT by mtools: the ESP."""

    made_empty: bool = True
    packages: tuple[str, ...] = ()
    least: int = 0

    def make(self, disk: Path, part: Partition) -> None:
        """Make it at its offset, without the fake partition table that mformat writes into the boot sector."""
        if part.format_command:
            with sparse.beside(disk, part.size) as file:
                run(command(part, file))
                sparse.splice(file, disk, part.start)
            require_uuid(self.uuid(disk, part), part)
            return
        size = ["-F"] if part.size >= FAT32_LEAST else []
        geometry = ["-T", str(part.size // SECTOR), "-h", "255", "-s", "63", "-H", str(part.start // SECTOR)]
        serial = part.uuid.replace("-", "")
        run(["mformat", "-i", at(disk, part), *size, *geometry, "-N", serial, "-v", part.label[:11], "::"], env=MTOOLS)
        with disk.open("r+b") as file:
            file.seek(part.start + FAKE_MAP)
            file.write(bytes(64))

    def fill(self, disk: Path, part: Partition, source: Path, masks: Mapping[Path, Path], share: Share) -> None:
        """Copy a folder's content, over what is there. Raises DebfleetError where it doesn't fit."""
        del masks
        entries = sorted(source.iterdir())
        if not entries:
            return
        try:
            run(["mcopy", "-s", "-Q", "-m", "-D", "o", "-i", at(disk, part), *entries, "::"], env=MTOOLS)
        except CommandError as error:
            if FULL in error.output:
                raise too_small(part, share, error.output.strip().splitlines()[-1]) from error
            raise

    def uuid(self, disk: Path, part: Partition) -> str | None:
        """Its serial number, as udev shows it."""
        head = read_at(disk, part.start, SECTOR)
        offset = {b"FAT32": 0x43, b"FAT16": 0x27, b"FAT12": 0x27}
        for name, place in offset.items():
            if head[place + 15 : place + 20] == name:
                serial = head[place : place + 4][::-1].hex().upper()
                return f"{serial[:4]}-{serial[4:]}"
        return None


@dataclass(frozen=True)
class Swap:
    """Swap space."""

    made_empty: bool = True
    packages: tuple[str, ...] = ()
    least: int = 0

    def make(self, disk: Path, part: Partition) -> None:
        """Make it in a file of its own, because mkswap knows no offset, and put that into its place."""
        with sparse.beside(disk, part.size) as file:
            if part.format_command:
                run(command(part, file))
            else:
                run(["mkswap", "--uuid", part.uuid, "--label", part.label, file])
            sparse.splice(file, disk, part.start)
        require_uuid(self.uuid(disk, part), part)

    def fill(self, disk: Path, part: Partition, source: Path, masks: Mapping[Path, Path], share: Share) -> None:
        """Swap has no content."""
        raise NotImplementedError

    def uuid(self, disk: Path, part: Partition) -> str | None:
        """The UUID in its header."""
        head = read_at(disk, part.start, 4096)
        return uuid_text(head[1036:1052]) if head[4086:] == b"SWAPSPACE2" else None


FILESYSTEMS: dict[str, Filesystem] = {
    "ext2": Ext("ext2"),
    "ext3": Ext("ext3"),
    "ext4": Ext("ext4"),
    "xfs": Xfs(),
    "btrfs": Btrfs(),
    "vfat": Vfat(),
    "swap": Swap(),
}


def packages(layout: Layout) -> list[str]:
    """The Debian packages that an image needs for the filesystems of its disk, each once."""
    found = [FILESYSTEMS[part.filesystem].packages for part in layout.partitions if part.filesystem in FILESYSTEMS]
    return list(dict.fromkeys(name for names in found for name in names))
