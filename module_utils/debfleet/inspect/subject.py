# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks are given to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .asked import Asked
from .host import Host
from .root import Root


@dataclass(frozen=True)
class Filesystem:
    """A partition (number from 1) or the whole disk (number 0), and what was recognised in it. Sizes in bytes.

    `kind` is blkid's word (ext4, vfat, swap, crypto_LUKS …), empty where nothing was recognised.
    """

    number: int
    start: int
    size: int
    kind: str = ""
    uuid: str = ""
    label: str = ""
    partuuid: str = ""
    partlabel: str = ""
    parttype: str = ""

    def __str__(self) -> str:
        where = f"partition {self.number}" if self.number else "the whole disk"
        return f"{where} ({self.kind or 'nothing recognised'})"


@dataclass(frozen=True)
class Part:
    """A filesystem of an opened image: its mount point in the image, and where it is mounted in the holder's eyes."""

    where: str
    place: Path


@dataclass(frozen=True)
class Subject:
    """An image opened for reading.

    :param root: its root tree, with further filesystems mounted as its fstab says.
    :param raw: the disk as a raw file; None for a plain tree.
    :param filesystems: what is on the disk.
    :param esp: the paths of the files in its EFI system partition.
    :param scratch: an empty folder for what a check has to copy.
    :param unread: what could not be read when opening it.
    :param has_root: whether there is a root tree at all.
    :param holder: the pid of the process in whose mount namespace the image is mounted; 0 for a plain tree.
    :param parts: the root's filesystem, and those mounted below it.
    """

    root: Root
    asked: Asked
    host: Host
    raw: Path | None = None
    filesystems: list[Filesystem] = field(default_factory=list)
    esp: list[str] = field(default_factory=list)
    scratch: Path | None = None
    unread: list[str] = field(default_factory=list)
    has_root: bool = True
    holder: int = 0
    parts: tuple[Part, ...] = ()
