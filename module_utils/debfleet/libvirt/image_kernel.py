# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking kernel and initramfs out of an image; ext is read in place, xfs and btrfs are mounted apart, read only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .. import kernels, namespace
from ..run import run

LISTED = re.compile(r"^/\d+/10\d{4}/\d+/\d+/([^/]+)/\d+/$", re.M)  # debugfs ls -p: inode/mode/uid/gid/name/size

OPTIONS = {"xfs": "ro,norecovery,nouuid", "btrfs": "ro"}
# $1 kind, $2 options, $3 disk, $4 where to mount, $5 the kernels' folder there; then for COPY $6 where to put them, $7
# the kernel and $8 its initramfs.
LIST = """
set -e
mount -t "$1" -o "$2" "$3" "$4"
ls -1 "$4$5"
"""
COPY = """
set -e
mount -t "$1" -o "$2" "$3" "$4"
cp "$4$5/$7" "$6/vmlinuz"
[ ! -e "$4$5/$8" ] || cp "$4$5/$8" "$6/initrd.img"
"""


def extract(disk: Path, kind: str, partitions: list[dict[str, Any]], into: Path) -> tuple[Path, Path | None] | None:
    """Copy the newest kernel and its initramfs into a folder; None where the image has none or it can't be read.

    :param kind: the image's format; other than raw it is converted first, in the folder.
    """
    place = next((part for mount in ("/boot", "/") for part in partitions if part.get("mount") == mount), None)
    filesystem = str((place or {}).get("filesystem", ""))
    if place is None or not (filesystem.startswith("ext") or filesystem in OPTIONS):
        return None
    if kind != "raw":
        raw = into / "disk.raw"
        run(["qemu-img", "convert", "-f", kind, "-O", "raw", disk, raw])
        disk = raw
    if filesystem in OPTIONS:
        return _mounted(disk, place, into)
    target = f"{disk}?offset={int(place['start'])}"
    folder = "/" if place["mount"] == "/boot" else "/boot"
    names = LISTED.findall(run(["debugfs", "-R", f"ls -p {folder}", target], check=False).stdout)
    newest = kernels.newest(names)
    if not newest:
        return None
    kernel, initrd = into / "vmlinuz", into / "initrd.img"
    run(["debugfs", "-R", f"dump {folder}/{newest} {kernel}", target], check=False)
    if (wanted := kernels.initrd(newest)) in names:
        run(["debugfs", "-R", f"dump {folder}/{wanted} {initrd}", target], check=False)
    if not kernel.is_file() or not kernel.stat().st_size:
        return None
    return kernel, initrd if initrd.is_file() else None


def _mounted(disk: Path, place: dict[str, Any], into: Path) -> tuple[Path, Path | None] | None:
    """The same by a mount in a namespace of its own; None also where nothing can be mounted, as without root."""
    kind, folder = str(place["filesystem"]), "" if place["mount"] == "/boot" else "/boot"
    options = f"{OPTIONS[kind]},loop,offset={int(place['start'])},sizelimit={int(place['size'])}"
    (into / "mounted").mkdir()
    words = ["sh", kind, options, str(disk), str(into / "mounted"), folder]
    listed = run(namespace.apart(["sh", "-c", LIST, *words]), check=False)
    newest = kernels.newest(listed.stdout.splitlines())
    if listed.returncode != 0 or not newest:
        return None
    words += [str(into), newest, kernels.initrd(newest)]
    done = run(namespace.apart(["sh", "-c", COPY, *words]), check=False)
    kernel, initrd = into / "vmlinuz", into / "initrd.img"
    if done.returncode != 0 or not kernel.is_file():
        return None
    return kernel, initrd if initrd.is_file() else None
