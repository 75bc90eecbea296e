# SPDX-License-Identifier: GPL-3.0-or-later
"""How the space of a volume is shared out: arithmetic in bytes, whole MiB throughout.

A fixed size is rounded up to a MiB, a share down. A share is one of what the volume has for the manifest's own
partitions: all but the map, the ESP and bios_grub that debfleet adds, and the MiB before each logical partition. So
shares of 100 % in all fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import sizes
from .combinations import TABLE
from .shape import ALIGNMENT, PRIMARIES

BIOS_GRUB_SIZE = 1 * ALIGNMENT
ESP_NAME = "boot/efi"  # a manifest may declare the ESP itself
MAP_SIZE = {"none": 0, "msdos": ALIGNMENT, "gpt": 2 * ALIGNMENT}  # a GPT has a copy at the end


@dataclass(frozen=True)
class Wish:
    """A partition that has no place yet. `asked` is what the manifest says of it, empty for what firmware needs."""

    name: str
    filesystem: str | None
    size: sizes.Size
    asked: Mapping[str, Any]

    @property
    def where(self) -> str:
        """The path of its size in the manifest."""
        return f"volume.partitions.{self.name}.size"

    @property
    def fixed(self) -> int | None:
        """Its size in bytes, where that doesn't depend on the others."""
        return self.size.count if isinstance(self.size, sizes.Bytes) else None


def declared(volume: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The manifest's partitions by name, in order."""
    return {name: asked for name, asked in volume["partitions"].items() if name != "type" and asked is not None}


def needed(kind: str, firmware: str, bootloader: str) -> Iterator[Wish]:
    """The partitions that firmware and bootloader need on a map of this kind, beside the manifest's."""
    if kind == "gpt" and firmware in ("bios", "both") and bootloader == "grub":
        yield Wish("bios_grub", None, sizes.Bytes(BIOS_GRUB_SIZE), {})
    row = TABLE.get(bootloader)
    if kind != "none" and firmware in ("uefi", "both") and row and row.esp:
        yield Wish("esp", "vfat", sizes.Bytes(row.esp), {})


def wishes(volume: Mapping[str, Any], firmware: str, bootloader: str) -> list[Wish]:
    """Every partition of the volume, in the order in which they shall lie. Raises ValueError for unreadable sizes."""
    own = []
    for name, asked in declared(volume).items():
        size = sizes.parse(asked["size"])
        size = sizes.Bytes(up(size.count)) if isinstance(size, sizes.Bytes) else size
        filesystem = {"swap": "swap", ESP_NAME: "vfat"}.get(name) or asked.get("filesystem") or "ext4"
        own.append(Wish(name, filesystem, size, asked))
    added = [
        wish
        for wish in needed(volume["partitions"]["type"], firmware, bootloader)
        if not (wish.name == "esp" and ESP_NAME in declared(volume))
    ]
    return added + own


def up(count: int) -> int:
    """The next whole MiB."""
    return -(-count // ALIGNMENT) * ALIGNMENT


def logicals(kind: str, count: int) -> int:
    """How many of `count` partitions are logical ones."""
    return count - PRIMARIES if kind == "msdos" and count > PRIMARIES + 1 else 0


def overhead(kind: str, count: int) -> int:
    """Bytes that a map of `count` partitions takes: in front, at the end, and before each logical partition."""
    return MAP_SIZE[kind] + logicals(kind, count) * ALIGNMENT


def volume_size(volume: Mapping[str, Any], asked: Sequence[Wish]) -> int:
    """The volume's size: the manifest's, else what its fixed sizes need."""
    if volume.get("size") is not None:
        return up(sizes.in_bytes(volume["size"]))
    return sum(wish.fixed or 0 for wish in asked) + overhead(volume["partitions"]["type"], len(asked))


def shared_out(room: int, asked: Sequence[Wish]) -> list[int]:
    """The size of each partition, of `room` bytes for all of them; what remains may come out as nothing, or less."""
    added = sum(wish.fixed or 0 for wish in asked if not wish.asked)
    counts = []
    for wish in asked:
        if isinstance(wish.size, sizes.Percent):
            counts.append(max(room - added, 0) * wish.size.share // 100 // ALIGNMENT * ALIGNMENT)
        else:
            counts.append(wish.fixed or 0)
    left = room - sum(counts)
    return [
        left if isinstance(wish.size, sizes.Remaining) else count for wish, count in zip(asked, counts, strict=True)
    ]
