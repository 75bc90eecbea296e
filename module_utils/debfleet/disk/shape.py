# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk as it shall be: its map and its partitions, each with its place, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import FindingsError

SECTOR = 512
ALIGNMENT = 1 << 20
PRIMARIES = 3  # of an MBR with logical partitions; the fourth entry holds those


class LayoutError(FindingsError, ValueError):
    """Partitions that can't be: `where` is the path in the manifest, as ``volume.partitions.root.size``."""


@dataclass(frozen=True)
class Partition:
    """A partition: where it lies (bytes) and what it holds.

    `number` is the one that the kernel gives it, 0 where the filesystem takes the whole disk. `type` is a GPT's GUID or
    an MBR's hexadecimal type, empty without a map. `features` are those that mke2fs shall give or leave out (``^``).
    """

    number: int
    name: str
    mount: str | None
    filesystem: str | None
    start: int
    size: int
    type: str
    uuid: str
    partuuid: str | None
    label: str
    mountopts: tuple[str, ...] = ()
    mode: str | None = None
    format_command: tuple[str, ...] | None = None
    features: tuple[str, ...] = ()

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.start + self.size


@dataclass(frozen=True)
class Layout:
    """A disk of `size` bytes; its partitions stand in the order in which they lie on it."""

    map: str
    size: int
    disk_uuid: str
    partitions: tuple[Partition, ...]

    def to_dict(self) -> dict[str, Any]:
        """The layout as JSON has it."""
        written = asdict(self)
        written["partitions"] = [
            {key: list(value) if isinstance(value, tuple) else value for key, value in partition.items()}
            for partition in written["partitions"]
        ]
        return written

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Layout:
        """The layout that was written by `to_dict`. Raises KeyError or TypeError for anything else."""
        partitions = []
        for one in written["partitions"]:
            command = one.get("format_command")
            options = {
                "mountopts": tuple(one.get("mountopts") or ()),
                "format_command": tuple(command) if command else None,
                "features": tuple(one.get("features") or ()),
            }
            partitions.append(Partition(**{**one, **options}))
        return cls(written["map"], written["size"], written["disk_uuid"], tuple(partitions))

    def named(self, name: str) -> Partition | None:
        """The partition of this name, as in the manifest; besides `esp` and `bios_grub`."""
        return next((partition for partition in self.partitions if partition.name == name), None)

    def at(self, mount: str) -> Partition | None:
        """The partition that is mounted at this path."""
        return next((partition for partition in self.partitions if partition.mount == mount), None)

    @property
    def root(self) -> Partition:
        """The partition of the root filesystem; there always is one."""
        return next(partition for partition in self.partitions if partition.mount == "/")

    @property
    def boot(self) -> Partition:
        """The partition that has the kernels: that of /boot, else the root."""
        return self.at("/boot") or self.root

    @property
    def esp(self) -> Partition | None:
        """The EFI system partition, where there is one."""
        return self.at("/boot/efi")

    @property
    def extended(self) -> tuple[int, int] | None:
        """Start and size in bytes of an MBR's extended partition; it reaches to the end of the disk."""
        logicals = [
            partition for partition in self.partitions if self.map == "msdos" and partition.number > PRIMARIES + 1
        ]
        if not logicals:
            return None
        start = logicals[0].start - ALIGNMENT
        return start, min(self.size, 2**32 * SECTOR) - start
