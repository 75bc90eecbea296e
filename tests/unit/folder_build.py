# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build would hand to the folder's room: a small tree, a sparse disk, a manifest with secrets, a layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inspect_tree import make

from debfleet.common.disk import layout as disk_layout
from debfleet.common.folder.contents import Source

HASH = "$6$saltsalt$Zk1uPzXverysecret"
KERNELS = ("6.9.7-amd64", "6.12.43+deb13-amd64", "6.12.9-amd64")


def manifest(**system: str) -> dict[str, Any]:
    """A canonical manifest, as far as the folder looks at it."""
    return {
        "schema_version": 1,
        "name": "small",
        "provider": {"name": "kvm", "virtio": [], "console": "serial"},
        "system": {
            "release": "trixie",
            "architecture": "amd64",
            "firmware": "bios",
            "bootloader": "none",
            **system,
        },
        "packages": {"mirror": "https://me:pass4711@mirror.example.org/debian", "install": []},
        "volume": {"backing": "raw", "size": "4MiB"},
        "plugins": {
            "root_password": {"password-crypted": HASH},
            "debconf": "pkg pkg/pw password hidden4711\npkg pkg/name string open\n",
        },
        "reproducible": False,
    }


def layout() -> dict[str, Any]:
    """The layout of a GPT disk with several partitions."""
    partitions = {"type": "gpt", "root": {"size": "100MiB", "filesystem": "ext4"}, "swap": {"size": "10MiB"}}
    partitions["var/tmp"] = {"size": "remaining", "filesystem": "ext4", "mode": "1777", "mountopts": ["nodev"]}
    volume = {"backing": "raw", "size": "400MiB", "partitions": partitions}
    return disk_layout.plan(volume, firmware="both", bootloader="grub", seed="small").to_dict()


def tree(folder: Path) -> Path:
    """A root tree with three kernels, and a copyright file."""
    top = make(folder / "root")
    for version in KERNELS:
        (top / f"boot/vmlinuz-{version}").write_text(f"kernel {version}")
        (top / f"boot/initrd.img-{version}").write_text(f"initramfs {version}")
    doc = top / "usr/share/doc/libc6"
    doc.mkdir(parents=True)
    (doc / "copyright").write_text(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nCopyright: somebody\nLicense: LGPL-2.1+ and Expat\n text\n\nLicense: Own-1\n text\n"
    )
    return top


def source(folder: Path, backing: str = "raw") -> Source:
    """All of it, in a folder."""
    disk = folder / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(4 << 20)
        file.seek(1 << 20)
        file.write(b"data" * 1024)
    (folder / "build.log").write_text("what was done\n")
    asked = manifest()
    asked["volume"]["backing"] = backing
    return Source(disk, tree(folder), folder / "build.log", asked, layout(), {"preparation": 0.5})
