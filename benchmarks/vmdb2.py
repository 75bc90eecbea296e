# SPDX-License-Identifier: GPL-3.0-or-later
"""vmdb2 as a peer: the same packages on a bootable ext4 disk of 2 GiB, by Debian's own builder of disk images.

It boots by BIOS only, has no locale, no users, and nothing is inspected. vmdb2 wants kpartx, which wants device-mapper;
where the kernel has none, a kpartx of a few lines with partx and links in /dev/mapper takes its place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from debfleet.common.bootstrap import mirror
from debfleet.common.namespace import apart
from debfleet.common.run import run

KPARTX = """\
#!/bin/sh
# kpartx -asv FILE and kpartx -dsv FILE, without device-mapper
set -e
case $1 in
-a*)
    loop=$(losetup --find --show "$2")
    partx --add "$loop" >&2
    mkdir -p /dev/mapper
    for part in "$loop"p*; do
        ln -s "$part" "/dev/mapper/${part##*/}"
        echo "add map ${part##*/} (0:0): 0 0 linear $loop 0"
    done ;;
-d*)
    loop=$(losetup --noheadings --output NAME --associated "$2" | tail -n 1)
    rm -f /dev/mapper/"${loop##*/}"p*
    partx --delete "$loop" >&2 ;; # vmdb2 itself detaches the loop device
esac
"""


def version() -> str:
    """vmdb2's version, as Debian has it."""
    return run(["dpkg-query", "--show", "--showformat=${Version}", "vmdb2"]).stdout


def specification(suite: str, packages: Sequence[str]) -> str:
    """What vmdb2 is told to do, in its own YAML."""
    plan = mirror.plan(mirror.Wish(suite), mirror.read_builder(), mirror.tool_default(suite, ["main"]))
    steps: list[dict[str, object]] = [
        {"mkimg": "{{ output }}", "size": "2G"},
        {"mklabel": "msdos", "device": "{{ output }}"},
        {"mkpart": "primary", "device": "{{ output }}", "start": "1MiB", "end": "100%", "tag": "root"},
        {"kpartx": "{{ output }}"},
        {"mkfs": "ext4", "partition": "root"},
        {"mount": "root"},
        {"debootstrap": suite, "mirror": plan.needed.uri, "target": "root", "variant": "minbase"},
        {"virtual-filesystems": "root"},
        {"apt": "install", "packages": list(packages), "tag": "root", "recommends": False},
        {"fstab": "root"},
        {"grub": "bios", "tag": "root", "console": "serial"},
    ]
    return yaml.safe_dump({"steps": steps})


def build(suite: str, folder: Path, image: Path, packages: Sequence[str]) -> None:
    """Build a qcow2 with vmdb2. Loop devices and mounts are its own to release."""
    tools = folder / "tools"
    tools.mkdir()
    (tools / "kpartx").write_text(KPARTX)
    (tools / "kpartx").chmod(0o755)
    (folder / "image.vmdb").write_text(specification(suite, packages))
    raw = image.with_suffix(".raw")
    path = f"{tools}:{os.environ['PATH']}:/usr/sbin:/sbin"
    try:
        run(apart(["vmdb2", folder / "image.vmdb", "--output", raw, "--log", folder / "log"]), env={"PATH": path})
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image])
    finally:
        raw.unlink(missing_ok=True)


def there() -> bool:
    """Whether vmdb2 is installed."""
    return shutil.which("vmdb2") is not None
