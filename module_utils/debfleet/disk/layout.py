# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each partition of a volume lies, and the fstab that follows from it: arithmetic alone, no I/O."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .combinations import TABLE
from .drawing import bar
from .limits import troubles
from .shape import ALIGNMENT, PRIMARIES, Layout, LayoutError, Partition
from .space import ESP_NAME, Wish, logicals, overhead, shared_out, volume_size, wishes

__all__ = ["Layout", "LayoutError", "Partition", "bar", "fstab", "plan", "troubles"]

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:debfleet:disk")
GPT_TYPES = {
    "bios_grub": "21686148-6449-6E6F-744E-656564454649",
    "esp": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    "swap": "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
    "linux": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
}
MSDOS_TYPES = {"esp": "ef", "swap": "82", "linux": "83"}
LABEL_LENGTH = 16  # of ext and swap, the shortest that a partition's name may meet
FSTAB_HEAD = "# <file system> <mount point> <type> <options> <dump> <pass>\n"


def plan(volume: Mapping[str, Any], *, firmware: str, bootloader: str, seed: str) -> Layout:
    """Lay out the `volume` of a canonical manifest.

    :param firmware: bios, uefi or both: what shall be able to boot it.
    :param bootloader: the manifest's `system.bootloader`.
    :param seed: every UUID follows from it.
    :raises LayoutError: the first of what `troubles` names.
    """
    for trouble in troubles(volume, firmware=firmware, bootloader=bootloader):
        raise trouble
    kind, asked = volume["partitions"]["type"], wishes(volume, firmware, bootloader)
    size = volume_size(volume, asked)
    disk = str(uuid.uuid5(NAMESPACE, f"{seed}/disk"))
    if kind == "msdos":
        disk = f"0x{int(disk[:8], 16) or 1:08x}"
    logical = logicals(kind, len(asked))
    partitions, position = [], 0 if kind == "none" else ALIGNMENT
    for index, count in enumerate(shared_out(size - overhead(kind, len(asked)), asked)):
        number = 0 if kind == "none" else index + 1
        if logical and index >= PRIMARIES:
            number, position = index + 2, position + ALIGNMENT
        partitions.append(_partition(asked[index], number, position, count, kind, disk, seed))
        position += count
    return _readable(Layout(kind, size, disk, tuple(partitions)), bootloader)


def _readable(made: Layout, bootloader: str) -> Layout:
    """The layout with what its bootloader reads made such that it can."""
    row = TABLE.get(bootloader)
    if row is None or not row.features or made.boot.filesystem != "ext4":
        return made
    parts = (replace(part, features=row.features) if part is made.boot else part for part in made.partitions)
    return replace(made, partitions=tuple(parts))


def _partition(wish: Wish, number: int, start: int, size: int, kind: str, disk: str, seed: str) -> Partition:
    name = "esp" if wish.name == ESP_NAME else wish.name
    role = name if name in GPT_TYPES else "linux"
    own = str(uuid.uuid5(NAMESPACE, f"{seed}/filesystem/{name}"))
    if wish.filesystem == "vfat":
        own = f"{own[:4]}-{own[4:8]}".upper()
    partuuid = {
        "none": None,
        "gpt": str(uuid.uuid5(NAMESPACE, f"{seed}/partition/{name}")),
        "msdos": f"{disk[2:]}-{number:02x}",
    }[kind]
    mounts = {"root": "/", "esp": "/boot/efi", "swap": None, "bios_grub": None}
    command = wish.asked.get("format_command")
    return Partition(
        number=number,
        name=name,
        mount=mounts.get(name, f"/{name}"),
        filesystem=wish.filesystem,
        start=start,
        size=size,
        type={"none": "", "gpt": GPT_TYPES[role], "msdos": MSDOS_TYPES.get(role, "83")}[kind],
        uuid=own if wish.filesystem else "",
        partuuid=partuuid,
        label="ESP" if name == "esp" else name.replace("/", "-")[:LABEL_LENGTH],
        mountopts=tuple(wish.asked.get("mountopts") or ()),
        mode=wish.asked.get("mode"),
        format_command=tuple(command) if command else None,
    )


def fstab(layout: Layout) -> str:
    """The text of /etc/fstab: every filesystem and swap by UUID, outer mount points before inner ones."""
    rows = []
    for part in layout.partitions:
        if part.filesystem == "swap":
            options = ",".join(part.mountopts) or "sw"
            rows.append(("~", f"UUID={part.uuid} none swap {options} 0 0"))
        elif part.mount:
            rows.append(
                (part.mount, f"UUID={part.uuid} {part.mount} {part.filesystem} {_options(part)} 0 {_pass(part)}")
            )
    return FSTAB_HEAD + "".join(f"{row}\n" for _, row in sorted(rows))


def _options(part: Partition) -> str:
    options = list(part.mountopts)
    if part.name == "esp" and not any("mask=" in option for option in options):
        options.append("umask=0077")
    if (
        part.mount == "/"
        and (part.filesystem or "").startswith("ext")
        and not any(o.startswith("errors=") for o in options)
    ):
        options.append("errors=remount-ro")
    return ",".join(options) or "defaults"


def _pass(part: Partition) -> int:
    """In which turn fsck looks at it: 1 the root, 2 the others, 0 never (what checks itself when it is mounted)."""
    if part.filesystem in ("xfs", "btrfs"):
        return 0
    return 1 if part.mount == "/" else 2
