# SPDX-License-Identifier: GPL-3.0-or-later
"""extlinux for BIOS: its boot sector in the filesystem of the kernels, and syslinux's boot code in front of the map.

`configure` lets the image's u-boot-update write extlinux.conf, which Debian's hooks call again in the machine for each
kernel that comes or goes. `install` runs the image's own extlinux on the filled filesystem, for only that knows how
to write where its second stage lies: mounted by a loop device in a namespace of its own, both gone when it ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import kernels
from ..disk import partition_map
from ..disk.shape import Layout
from ..disk.tools import read_at
from ..errors import DebfleetError, MissingError
from ..namespace import run_around_root, run_in_root
from ..run import CommandError, run
from . import files, grub_config

CODE = {"msdos": "usr/lib/EXTLINUX/mbr.bin", "gpt": "usr/lib/EXTLINUX/gptmbr.bin"}
CODE_SIZE = 440  # of an MBR; behind it are the disk's id and its table
LEGACY = "LegacyBIOSBootable"  # the attribute by which gptmbr.bin knows what to boot
CONFIG = "boot/extlinux/extlinux.conf"
SETTINGS = "etc/u-boot-menu/conf.d/debfleet.conf"
SIGNATURE = b"SYSLINUX"  # at byte 3 of the boot sector
# $1 the root, $2 mount options, $3 disk, $4 filesystem, $5 the kernels' folder in it. /run and /dev of the root are
# tmpfs here. extlinux can't read files with holes, which mke2fs leaves where there are zeros: they are written out.
INSTALL = """
set -e
place=/run/extlinux
mkdir "$1$place"
mount -t "$4" -o "$2" "$3" "$1$place"
device=$(findmnt --noheadings --output SOURCE "$1$place")
: > "$1$device"
mount --bind "$device" "$1$device"
for file in "$1$place$5"/KERNELS "$1$place$5"/initrd.img-*; do
  [ -f "$file" ] || continue
  when=$(stat --format %.Y "$file")
  dd if="$file" of="$file" bs=1M conv=notrunc status=none
  touch --date "@$when" "$file"
done
chroot "$1" extlinux --install "$place$5/extlinux"
sync --file-system "$1$place"
umount "$1$place"
""".replace("KERNELS", kernels.GLOB)


def packages(system: Mapping[str, Any]) -> list[str]:
    """The Debian packages that the image needs: extlinux, and what keeps its menu current."""
    del system
    return ["extlinux", "u-boot-menu"]


def settings(layout: Layout, console: str) -> str:
    """What u-boot-update reads."""
    options = f"ro {console}".strip()
    return f'U_BOOT_ROOT="root=UUID={layout.root.uuid}"\nU_BOOT_PARAMETERS="{options}"\n'


def menu(text: str, layout: Layout) -> str:
    """The menu that u-boot-update wrote in the tree as it writes it in the machine, where /boot may be mounted."""
    return re.sub(r"^(\s*(?:linux|initrd) )/boot/", rf"\1{grub_config.boot_folder(layout)}/", text, flags=re.M)


def configure(tree: Path, layout: Layout, system: Mapping[str, Any], console: str) -> None:
    """Write extlinux's menu and the settings that it is made of into the tree.

    :param console: arguments for the kernel, as ``console=tty0 console=ttyS0,115200``.
    """
    del system
    kernels.needed(tree)
    for need in ("usr/bin/extlinux", "usr/sbin/u-boot-update", *([CODE[layout.map]] if layout.map in CODE else [])):
        if not (tree / need).exists():
            raise DebfleetError("extlinux isn't in the image", where="packages.install", why=f"there is no /{need}")
    files.write(tree / SETTINGS, settings(layout, console))
    run_in_root(tree, ["u-boot-update"])
    files.write(tree / CONFIG, menu((tree / CONFIG).read_text(encoding="utf-8"), layout))


def install(
    disk: Path, layout: Layout, tree: Path, system: Mapping[str, Any], *, check_mode: bool = False
) -> list[str]:
    """Put extlinux into a filled disk. Returns the places that were written to; none where all was there already."""
    del system
    if not disk.is_file():
        raise DebfleetError(f"there is no disk {disk}")
    changed = _boot_code(disk, layout, tree, check_mode)
    if read_at(disk, layout.boot.start + 3, len(SIGNATURE)) != SIGNATURE:
        changed.append("boot sector")
        if not check_mode:
            _boot_sector(disk, layout, tree)
    return changed


def _boot_code(disk: Path, layout: Layout, tree: Path, check_mode: bool) -> list[str]:
    """The code in front of the map; without a map the firmware starts the filesystem's own boot sector."""
    if layout.map not in CODE:
        return []
    code = (tree / CODE[layout.map]).read_bytes()[:CODE_SIZE]
    marked = layout.map != "gpt" or LEGACY in _attributes(disk, layout)
    if marked and read_at(disk, 0, len(code)) == code:
        return []
    if not check_mode:
        if not marked:
            options = ["--quiet", "--no-reread", "--no-tell-kernel", "--part-attrs"]
            run(["sfdisk", *options, disk, str(layout.boot.number), LEGACY])
        with disk.open("r+b") as file:
            file.write(code)
    return ["MBR"]


def _attributes(disk: Path, layout: Layout) -> str:
    found = partition_map.read(disk) or {}
    starts = {row["start"] * 512: row.get("attrs", "") for row in found.get("partitions", [])}
    return str(starts.get(layout.boot.start, ""))


def _boot_sector(disk: Path, layout: Layout, tree: Path) -> None:
    part = layout.boot
    options = f"loop,offset={part.start},sizelimit={part.size}"
    folder = grub_config.boot_folder(layout)
    argv = ["sh", "-c", INSTALL, "sh", str(tree), options, str(disk), part.filesystem or "", folder]
    try:
        run_around_root(tree, argv, shown=["extlinux", "--install", f"{folder}/extlinux"])
    except CommandError as error:
        if any(text in error.output for text in ("loop device", "superuser", "unknown filesystem type")):
            hint = f"it needs root, a loop device and a kernel that knows {part.filesystem}"
            raise MissingError(
                f"could not mount {part.name} to put extlinux there", why=error.why, hint=hint
            ) from error
        raise
    if read_at(disk, part.start + 3, len(SIGNATURE)) != SIGNATURE:
        raise DebfleetError(f"extlinux wrote no boot sector into {part.name}")
