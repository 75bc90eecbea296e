# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking kernel and initramfs out of an image, without mounting it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..run import run

LISTED = re.compile(r"^/\d+/10\d{4}/\d+/\d+/([^/]+)/\d+/$", re.M)  # debugfs ls -p: inode/mode/uid/gid/name/size


def extract(disk: Path, kind: str, partitions: list[dict[str, Any]], into: Path) -> tuple[Path, Path | None] | None:
    """Copy the newest kernel and its initramfs into a folder; None where the image has none or it can't be read.

    :param kind: the image's format; other than raw it is converted first, in the folder.
    """
    place = next((part for mount in ("/boot", "/") for part in partitions if part.get("mount") == mount), None)
    if place is None or not str(place.get("filesystem", "")).startswith("ext"):
        return None
    if kind != "raw":
        raw = into / "disk.raw"
        run(["qemu-img", "convert", "-f", kind, "-O", "raw", disk, raw])
        disk = raw
    target = f"{disk}?offset={int(place['start'])}"
    folder = "/" if place["mount"] == "/boot" else "/boot"
    names = LISTED.findall(run(["debugfs", "-R", f"ls -p {folder}", target], check=False).stdout)
    kernels = sorted((name for name in names if name.startswith("vmlinuz-")), key=_version)
    if not kernels:
        return None
    kernel, initrd = into / "vmlinuz", into / "initrd.img"
    run(["debugfs", "-R", f"dump {folder}/{kernels[-1]} {kernel}", target], check=False)
    wanted = "initrd.img-" + kernels[-1].removeprefix("vmlinuz-")
    if wanted in names:
        run(["debugfs", "-R", f"dump {folder}/{wanted} {initrd}", target], check=False)
    if not kernel.is_file() or not kernel.stat().st_size:
        return None
    return kernel, initrd if initrd.is_file() else None


def _version(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
