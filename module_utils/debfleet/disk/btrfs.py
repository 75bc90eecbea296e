# SPDX-License-Identifier: GPL-3.0-or-later
"""btrfs, made by mkfs.btrfs and filled by a loop mount: its --rootdir loses device numbers, nanoseconds, and holes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..run import find
from . import mounted
from .census import Share
from .filling import too_small
from .shape import Partition
from .tools import read_at, require_uuid, uuid_text

SUPERBLOCK = 64 << 10


@dataclass(frozen=True)
class Btrfs:
    """btrfs on one device, its metadata twice; everything is in the top level subvolume.

    Where it will be mounted with compression, its content is compressed already.
    """

    made_empty: bool = False
    packages: tuple[str, ...] = ("btrfs-progs",)
    least: int = 128 << 20  # mkfs.btrfs makes none below 109 MiB, in which nothing fits

    def make(self, disk: Path, part: Partition) -> None:
        """It is made when it is filled."""
        raise NotImplementedError

    def fill(self, disk: Path, part: Partition, source: Path, masks: Mapping[Path, Path], share: Share) -> None:
        """Make it in its place with the content of a folder. Raises DebfleetError where that doesn't fit."""
        if share.data > part.size:
            raise too_small(part, share, "that is more than there is")
        if not part.format_command:
            find("mkfs.btrfs", "btrfs-progs")
        options = ["--quiet", "--force", "--nodiscard", "--metadata", "dup", "--data", "single"]
        mounted.make(disk, part, ["mkfs.btrfs", *options, "--uuid", part.uuid, "--label", part.label])
        require_uuid(self.uuid(disk, part), part)
        compress = [option for option in part.mountopts if option.startswith("compress")]
        mounted.fill(disk, part, source, masks, share, compress)

    def uuid(self, disk: Path, part: Partition) -> str | None:
        """The UUID in its superblock."""
        head = read_at(disk, part.start + SUPERBLOCK, 128)
        return uuid_text(head[32:48]) if head[64:72] == b"_BHRfS_M" else None
