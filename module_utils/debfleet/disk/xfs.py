# SPDX-License-Identifier: GPL-3.0-or-later
"""XFS, made by mkfs.xfs and filled by a loop mount: its protofiles lose hard links, times and ACLs."""

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

LABEL = 12
LOG = 64 << 20
INODE = 512
# What every kernel and grub from bookworm on reads, whatever newer xfsprogs has for default.
METADATA = "crc=1,finobt=1,reflink=1,rmapbt=0,bigtime=1,inobtcount=1"
INODES = "sparse=1,nrext64=0"
PARENTS = (6, 10)  # the first xfsprogs that knows of parent pointers and exchange of ranges, which no grub reads


def mkfs(part: Partition, told: str) -> list[str]:
    """The command that makes a partition's filesystem; `told` is what ``mkfs.xfs -V`` says."""
    newer = version(told) >= PARENTS
    inodes, names = (f"{INODES},exchange=0", ["-n", "parent=0"]) if newer else (INODES, [])
    metadata = f"{METADATA},uuid={part.uuid}"
    return ["mkfs.xfs", "-q", "-f", "-K", "-m", metadata, "-i", inodes, *names, "-L", part.label[:LABEL]]


@dataclass(frozen=True)
class Xfs:
    """XFS."""

    made_empty: bool = False
    packages: tuple[str, ...] = ("xfsprogs",)
    least: int = 300 << 20  # mkfs.xfs makes none that is smaller

    def make(self, disk: Path, part: Partition) -> None:
        """It is made when it is filled."""
        raise NotImplementedError

    def fill(self, disk: Path, part: Partition, source: Path, masks: Mapping[Path, Path], share: Share) -> None:
        """Make it in its place with the content of a folder. Raises DebfleetError where that doesn't fit."""
        if share.data + share.inodes * INODE + LOG > part.size:
            raise too_small(part, share, "its journal takes 64 MiB")
        words = [] if part.format_command else mkfs(part, run([find("mkfs.xfs", "xfsprogs"), "-V"]).stdout)
        mounted.make(disk, part, words)
        require_uuid(self.uuid(disk, part), part)
        mounted.fill(disk, part, source, masks, share)

    def uuid(self, disk: Path, part: Partition) -> str | None:
        """The UUID in its superblock."""
        head = read_at(disk, part.start, 64)
        return uuid_text(head[32:48]) if head[:4] == b"XFSB" else None
