# SPDX-License-Identifier: GPL-3.0-or-later
"""What no two builds give alike, byte by byte, whatever time they are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .problems import Keys

MOUNTED = "is filled by the kernel, which writes times and numbers of its own"
BOOTLOADERS = {"extlinux": "is installed in a mounted filesystem, where the kernel writes times of its own"}
FILESYSTEMS = {"xfs": MOUNTED, "btrfs": MOUNTED}
IDS = "has random ids, which qemu-img makes anew each time"
FORMATS = {"vhdx": IDS}
INSTEAD = {
    "filesystem": "take ext2, ext3 or ext4",
    "bootloader": "take grub or systemd-boot",
    "backing": "build raw or qcow2, and convert it where it is needed",
}


def differing(data: Mapping[str, Any]) -> Iterator[tuple[Keys, str]]:
    """The keys of a canonical manifest whose values make two builds differ, and why."""
    system, volume = _mapping(data.get("system")), _mapping(data.get("volume"))
    places: list[tuple[Keys, Any, Mapping[str, str]]] = [
        (("system", "bootloader"), system.get("bootloader"), BOOTLOADERS),
        (("volume", "backing"), volume.get("backing"), FORMATS),
    ]
    for name, part in _mapping(volume.get("partitions")).items():
        places.append((("volume", "partitions", name, "filesystem"), _mapping(part).get("filesystem"), FILESYSTEMS))
    for keys, value, table in places:
        if isinstance(value, str) and value in table:
            yield keys, table[value]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
