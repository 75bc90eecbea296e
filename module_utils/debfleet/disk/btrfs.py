# SPDX-License-Identifier: GPL-3.0-or-later
"""btrfs, made by mkfs.btrfs and filled by a loop mount: its --rootdir loses device numbers, nanoseconds, and holes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..run import find, run
from . import mounted
from .census import Share
from .filling import too_small
from .shape import Partition
from .tools import read_at, require_uuid, uuid_text, version

SUPERBLOCK = 64 << 10
BLOCK_GROUP_TREE = (6, 19)  # the first btrfs-progs that makes one by itself, which bookworm's can't check


def mkfs(part: Partition, told: str) -> list[str]:
    """The command that makes a partition's filesystem; `told` is what ``mkfs.btrfs --version`` says."""
    features = ["--features", "^block-group-tree"] if version(told) >= BLOCK_GROUP_TREE else []
    options = ["--quiet", "--force", "--nodiscard", "--metadata", "dup", "--data", "single", *features]
    return ["mkfs.btrfs", *options, "--uuid", part.uuid, "--label", part.label]


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
        words = [] if part.format_command else mkfs(part, run([find("mkfs.btrfs", "btrfs-progs"), "--version"]).stdout)
        mounted.make(disk, part, words)
        require_uuid(self.uuid(disk, part), part)
        compress = [option for option in part.mountopts if option.startswith("compress")]
        mounted.fill(disk, part, source, masks, share, compress)

    def uuid(self, disk: Path, part: Partition) -> str | None:
        """The UUID in its superblock."""
        head = read_at(disk, part.start + SUPERBLOCK, 128)
        return uuid_text(head[32:48]) if head[64:72] == b"_BHRfS_M" else None
