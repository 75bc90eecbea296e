# SPDX-License-Identifier: GPL-3.0-or-later
"""grub for BIOS, for UEFI, or for both on one disk.

`configure` writes into the tree before it is written to the disk; `install` puts grub's images into the disk then, as
grub-install would. The modules are the image's own; only grub-mkimage is the host's. In the image, update-grub and
grub-install work on what is there.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import kernels
from ..architectures import TABLE, Architecture, Grub, architecture
from ..disk.shape import ALIGNMENT, SECTOR, Layout, Partition
from ..disk.tools import read_at
from ..errors import DebfleetError
from ..namespace import run_in_root
from ..run import run
from . import esp, files, grub_config

GRUB_D = "etc/default/grub.d/debfleet.cfg"
DEFAULTS = 'GRUB_DEFAULT=0\nGRUB_DISTRIBUTOR="Debian"\n'
# In the core image, as far as the platform has them.
MODULES = [
    "normal",
    "configfile",
    "linux",
    "search",
    "search_fs_uuid",
    "search_label",
    "part_gpt",
    "part_msdos",
    "ext2",
    "btrfs",
    "xfs",
    "fat",
    "serial",
    "terminal",
    "echo",
    "test",
    "minicmd",
    "ls",
    "cat",
    "reboot",
    "halt",
    "gzio",
    "biosdisk",
    "all_video",
]


# For grub's full packages, where a manifest wants them: the image knows no disk's name, and no firmware's entries.
PRESEED = """\
grub-pc grub-pc/install_devices multiselect
grub-pc grub-pc/install_devices_empty boolean true
{efi} grub2/force_efi_extra_removable boolean true
{efi} grub2/update_nvram boolean false
"""


def _there(row: Architecture) -> dict[str, Grub]:
    """What Debian has of grub for an architecture, by firmware."""
    return {**({"bios": row.bios} if row.bios else {}), **({"uefi": row.efi.grub} if row.efi and row.efi.grub else {})}


def _needed(system: Mapping[str, Any]) -> dict[str, Grub]:
    """What of grub the system's firmware needs. Raises DebfleetError where there is none for it."""
    there, firmware = _there(architecture(system["architecture"])), system["firmware"]
    if not there:
        raise DebfleetError(
            f"there is no grub for {system['architecture']}",
            where="system.bootloader",
            hint=f"it is there for {', '.join(row.name for row in TABLE.values() if _there(row))}",
        )
    wanted = ["bios", "uefi"] if firmware == "both" else [firmware]
    if any(kind not in there for kind in wanted):
        name = {"bios": "BIOS", "uefi": "UEFI"}[next(kind for kind in wanted if kind not in there)]
        raise DebfleetError(
            f"{system['architecture']} has no {name}", where="system.firmware", hint=f"set it to {' or '.join(there)}"
        )
    return {kind: there[kind] for kind in wanted}


def platforms(system: Mapping[str, Any]) -> list[str]:
    """grub's platforms that the system's firmware needs. Raises DebfleetError where grub has none for it."""
    return [grub.platform for grub in _needed(system).values()]


def packages(system: Mapping[str, Any]) -> list[str]:
    """The Debian packages that the image needs, such that update-grub and grub-install work in it.

    They are those without maintainer scripts that look for a disk: an image doesn't know its disk's name.
    """
    needed = _needed(system)
    firmware = ["efibootmgr"] if "uefi" in needed else []
    return ["grub2-common", *(grub.package for grub in needed.values()), *firmware]


def configure(tree: Path, layout: Layout, system: Mapping[str, Any], console: str) -> None:
    """Write grub's configuration, modules and core images into the tree. Needs a kernel and grub's packages there.

    :param console: arguments for the kernel, as ``console=tty0 console=ttyS0,115200``.
    """
    kernel = kernels.needed(tree)[-1]
    for platform in platforms(system):
        if not (tree / "usr/lib/grub" / platform).is_dir():
            raise DebfleetError(f"grub for {platform} isn't in the image", where="packages.install")
    files.write(tree / GRUB_D, grub_config.defaults(console))
    if not (tree / "etc/default/grub").exists():
        files.write(tree / "etc/default/grub", DEFAULTS)
    for platform in platforms(system):
        _copy_modules(tree, platform)
        _make_core(tree, platform, layout)
    files.write(tree / "boot/grub/grub.cfg", grub_config.menu(layout, kernel, kernels.initrd(kernel), console))
    _preseed(tree, system)


def _copy_modules(tree: Path, platform: str) -> None:
    source, target = tree / "usr/lib/grub" / platform, tree / "boot/grub" / platform
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.suffix in (".mod", ".lst"):
            shutil.copy2(path, target / path.name)


def core(tree: Path, platform: str) -> Path:
    """The core image of a platform in the tree, named as grub-install names it."""
    return tree / "boot/grub" / platform / ("core.efi" if platform.endswith("-efi") else "core.img")


def _make_core(tree: Path, platform: str, layout: Layout) -> None:
    config = tree / "boot/grub" / platform / "load.cfg"
    config.write_text(grub_config.embedded(layout), encoding="utf-8")
    source = tree / "usr/lib/grub" / platform
    modules = [name for name in MODULES if (source / f"{name}.mod").exists()]
    where: list[str | Path] = ["-d", source, "-p", grub_config.prefix(layout)]
    run(["grub-mkimage", "-O", platform, *where, "-c", config, "-o", core(tree, platform), *modules])


def _preseed(tree: Path, system: Mapping[str, Any]) -> None:
    uefi = _there(architecture(system["architecture"])).get("uefi")
    info, efi = tree / "var/lib/dpkg/info", uefi.package.removesuffix("-bin") if uefi else ""
    if any((info / f"{package}.postinst").exists() for package in ("grub-pc", efi)):
        run_in_root(tree, ["debconf-set-selections"], stdin=PRESEED.format(efi=efi))


def install(
    disk: Path, layout: Layout, tree: Path, system: Mapping[str, Any], *, check_mode: bool = False
) -> list[str]:
    """Put grub into a filled disk. Returns the places that were written to; none where all was there already."""
    if not disk.is_file():
        raise DebfleetError(f"there is no disk {disk}")
    changed = []
    for platform in platforms(system):
        image = core(tree, platform)
        if not image.is_file():
            raise DebfleetError(f"grub for {platform} isn't configured in the tree", why=f"there is no {image}")
        if platform.endswith("-efi"):
            place = f"{esp.FOLDER}/{architecture(system['architecture']).removable}"
            changed += esp.put(disk, layout, {place: image}, check_mode=check_mode)
        else:
            boot = tree / "usr/lib/grub" / platform / "boot.img"
            changed += _install_bios(disk, layout, boot.read_bytes(), image.read_bytes(), check_mode)
    return changed


def _gap(layout: Layout) -> tuple[int, int]:
    """The first sector and the room in bytes for core.img: bios_grub, or what lies before the first partition."""
    place: Partition | None = layout.named("bios_grub")
    return (place.start // SECTOR, place.size) if place else (1, ALIGNMENT - SECTOR)


def bios_images(mbr: bytes, boot: bytes, image: bytes, sector: int) -> tuple[bytes, bytes]:
    """boot.img and core.img as they lie on the disk.

    :param mbr: the disk's first sector as it is; its id and partition table (0x1b8 to 0x1fd) stay.
    :param sector: where core.img begins.
    """
    if len(boot) != SECTOR or boot[510:] != b"\x55\xaa":
        raise ValueError("boot.img is no boot sector")
    first = bytearray(boot)
    first[0x1B8:0x1FE] = mbr[0x1B8:0x1FE]
    struct.pack_into("<Q", first, 0x5C, sector)  # where core.img begins
    first[0x64] = 0xFF  # the drive is the one that the BIOS says
    first[0x66:0x68] = b"\x90\x90"  # as on every hard disk: no jump around that
    padded = bytearray(image + bytes(-len(image) % SECTOR))
    struct.pack_into(
        "<QHH", padded, 0x1F4, sector + 1, len(padded) // SECTOR - 1, 0x820
    )  # the list of its other blocks
    return bytes(first), bytes(padded)


def _install_bios(disk: Path, layout: Layout, boot: bytes, image: bytes, check_mode: bool) -> list[str]:
    sector, room = _gap(layout)
    first, rest = bios_images(read_at(disk, 0, SECTOR), boot, image, sector)
    if len(rest) > room:
        raise DebfleetError(f"grub's core image has {len(rest)} bytes, and there is room for {room}")
    if read_at(disk, 0, SECTOR) == first and read_at(disk, sector * SECTOR, len(rest)) == rest:
        return []
    if check_mode:
        return ["MBR"]
    with disk.open("r+b") as file:
        file.write(first)
        file.seek(sector * SECTOR)
        file.write(rest)
    return ["MBR"]
