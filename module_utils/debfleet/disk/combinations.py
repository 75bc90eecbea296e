# SPDX-License-Identifier: GPL-3.0-or-later
"""What boots from what: bootloaders, firmware, partition maps and filesystems. The manifest's rules, the layout, the
documentation and the tests of every combination all read this table.

A further bootloader is a row here, and one in `bootloader`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from ..architectures import TABLE as ARCHITECTURES

MIB = 1 << 20
MAPS = ("none", "msdos", "gpt")
FIRMWARES = ("bios", "uefi", "both")
EXT = ("ext2", "ext3", "ext4")
ROOTS = (*EXT, "xfs", "btrfs")
BIOS = tuple(row.name for row in ARCHITECTURES.values() if row.bios)
UEFI = tuple(row.name for row in ARCHITECTURES.values() if row.efi)
FIRMWARE_MAPS = {"bios": MAPS, "uefi": ("msdos", "gpt"), "both": ("gpt",)}  # from which a firmware starts anything


@dataclass(frozen=True)
class Row:
    """What a bootloader takes.

    :param architectures: those it is there for; empty for every one.
    :param reads: the filesystems it finds kernels in, which are those of /boot, or of root without one; empty where
        they lie elsewhere.
    :param esp: bytes of the EFI system partition that is added for it.
    :param features: what of ext4 it can't read, as mke2fs's ``-O`` takes it.
    :param primary: whether what it reads has to be a primary partition of an MBR.
    :param by_firmware: whether firmware starts it; else whatever runs the image starts the kernel.
    """

    architectures: tuple[str, ...]
    firmwares: tuple[str, ...]
    maps: tuple[str, ...]
    reads: tuple[str, ...] = ()
    esp: int = 0
    features: tuple[str, ...] = ()
    primary: bool = False
    by_firmware: bool = True


TABLE: dict[str, Row] = {
    "grub": Row(
        tuple(row.name for row in ARCHITECTURES.values() if row.bios or (row.efi and row.efi.grub)),
        FIRMWARES,
        ("gpt", "msdos"),
        reads=ROOTS,
        esp=64 * MIB,
    ),
    "extlinux": Row(BIOS, ("bios",), MAPS, reads=EXT, features=("^64bit", "^metadata_csum"), primary=True),
    "systemd-boot": Row(
        tuple(row.name for row in ARCHITECTURES.values() if row.efi and row.efi.systemd_boot),
        ("uefi",),
        ("gpt",),
        esp=512 * MIB,  # the kernels lie there too
    ),
    "pvgrub": Row(BIOS, ("bios",), MAPS, reads=EXT),
    "none": Row((), FIRMWARES, MAPS, by_firmware=False),
}


def maps(bootloader: str, firmware: str) -> tuple[str, ...]:
    """The partition maps that a bootloader boots from by a firmware, none where it isn't started by that."""
    row = TABLE[bootloader]
    if firmware not in row.firmwares:
        return ()
    return tuple(kind for kind in MAPS if kind in row.maps and (kind in FIRMWARE_MAPS[firmware] or not row.by_firmware))


def reads(bootloader: str, filesystem: str) -> bool:
    """Whether a bootloader can have its kernels in this filesystem, or needs none of it."""
    row = TABLE.get(bootloader)
    return row is None or not row.reads or filesystem in row.reads


@dataclass(frozen=True)
class Combination:
    """A disk that boots; `boot` is the filesystem of a separate /boot, None without one."""

    bootloader: str
    firmware: str
    map: str
    root: str
    boot: str | None = None

    def __str__(self) -> str:
        boot = f"-boot-{self.boot}" if self.boot else ""
        return f"{self.bootloader}-{self.firmware}-{self.map}-{self.root}{boot}"


def boots(what: Combination) -> bool:
    """Whether the table has it."""
    return (
        what.map in maps(what.bootloader, what.firmware)
        and what.root in ROOTS
        and reads(what.bootloader, what.boot or what.root)
        and not (what.boot and what.map == "none")
    )


def every() -> Iterator[Combination]:
    """Each combination, also what the table doesn't have."""
    for bootloader, firmware, kind, root, boot in product(TABLE, FIRMWARES, MAPS, ROOTS, (None, *ROOTS)):
        yield Combination(bootloader, firmware, kind, root, boot)


def tested() -> Iterator[Combination]:
    """Those that ``make test-builder-full`` boots: each bootloader, firmware, map and root filesystem together.

    A separate /boot is there only where the bootloader can't read root, and firmware counts only where it starts the
    bootloader.
    """
    for bootloader, firmware, kind, root in product(TABLE, FIRMWARES, MAPS, ROOTS):
        if not TABLE[bootloader].by_firmware and firmware != FIRMWARES[0]:
            continue
        candidates = (Combination(bootloader, firmware, kind, root, boot) for boot in (None, "ext4"))
        if found := next(filter(boots, candidates), None):
            yield found
