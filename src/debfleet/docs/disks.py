# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/disks.md, from the tables of filesystems and of what boots from what: ``python -m debfleet.docs.disks``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from debfleet.common import bootloader, sizes
from debfleet.common.disk import combinations
from debfleet.common.disk.combinations import MAPS, ROOTS, TABLE, Combination
from debfleet.common.disk.filesystems import FILESYSTEMS
from debfleet.docs import generated

PAGE = Path("docs/disks.md")
HEAD = """\
<!-- SPDX-License-Identifier: GPL-3.0-or-later
     Made from debfleet's own tables by `python -m debfleet.docs.disks`; a test says whether it is current. -->
# Disks: filesystems, bootloaders, and what boots from what

A manifest names a partition map, a filesystem for each partition, a bootloader and a firmware; `manifest check` refuses
what can't boot, with what is allowed. This page is made from the tables that it checks by. There is an example for
each map, bootloader and root filesystem in [manifests/](../manifests).

## Filesystems

| filesystem | how it is filled | what is lost of the tree | at least | in the image |
|---|---|---|---|---|
{filesystems}
In place: nothing is mounted, no loop device is needed, and what a killed build leaves is files. By a loop mount:
`cp -a` into a mount that nobody else sees, in a namespace that ends with the build step; the loop device detaches
itself. The host's kernel has to know xfs or btrfs for that. `mkfs.xfs -p` and `mkfs.btrfs --rootdir` do without, and
lose more (hard links and times; device numbers, holes and nanoseconds).

Any of them may be root, /boot, or a nested mount point as `var/tmp`. xfs is made with the features of 2021's kernels,
whatever the builder's xfsprogs has for default, so that bookworm's kernel and grub read it. btrfs is one device with
its metadata twice; all is in its top level subvolume, compressed already where its mountopts have `compress`. In the
machine the root filesystem grows by `plugins.expand_root` or by cloud-init, whichever comes first: resize2fs,
xfs_growfs and btrfs are in the image. fsck looks at ext filesystems at boot; xfs and btrfs check themselves when they
are mounted, and `xfs_repair` and `btrfs check` are there.

## Bootloaders

| bootloader | where kernels lie | a new kernel in the machine | a new bootloader in the machine |
|---|---|---|---|
{loaders}
No bootloader is written by running the image's installer on the host: grub's and systemd-boot's files are the image's
own, put in place without a loop device. extlinux alone is run, in the image's tree, on its filesystem mounted by a loop
device: only it knows how to write down where its second stage lies. ext4 that extlinux reads is made without `64bit`
and `metadata_csum`, and its kernels without holes. With a GPT it boots the partition with the attribute
LegacyBIOSBootable; on an MBR it boots a primary partition, which is marked active.

## What boots from what

{combinations}
A cell names the root filesystems; with a /boot of its own (`boot: {{size: 512MiB, filesystem: ext4}}`) the root may be
any where the cell says so, because only the kernels have to be read. `make test-builder-full` builds and boots
{count} of them to a login by SSH: each bootloader, firmware and map with each root filesystem.
"""
FILLED = {
    "ext2": ("in place, by `mke2fs -d`", "nanoseconds and dates after 2038; inode flags before mke2fs 1.47.4"),
    "xfs": ("by a loop mount", "inode flags (chattr)"),
    "btrfs": ("by a loop mount", "inode flags (chattr)"),
    "vfat": ("in place, by mtools", "what FAT doesn't have: owners, modes, links"),
}
LOADERS = {
    "grub": (
        "/boot",
        "update-grub, by the kernel's hooks",
        "`grub-install /dev/vda` (BIOS) or `grub-install --removable` (UEFI)",
    ),
    "extlinux": ("/boot", "u-boot-update, by u-boot-menu's hooks", "`extlinux --update /boot/extlinux`"),
    "systemd-boot": (
        "the ESP (and /boot)",
        "kernel-install, by systemd-boot's hooks",
        "by itself: systemd-boot-update.service",
    ),
    "pvgrub": ("/boot", "not built yet", "–"),
    "none": ("beside the image", "the one beside the image stays: take the new one out of /boot", "–"),
}


def filesystems() -> Iterator[str]:
    """A row for each way of making a filesystem."""
    for name, (how, lost) in FILLED.items():
        there = FILESYSTEMS[name]
        names = ", ".join(combinations.EXT) if name == "ext2" else "vfat (the ESP)" if name == "vfat" else name
        yield " | ".join([names, how, lost, sizes.shown(there.least) if there.least else "", ", ".join(there.packages)])


def loaders() -> Iterator[str]:
    """A row for each bootloader."""
    for name in TABLE:
        kernels, hooks, again = LOADERS[name]
        yield " | ".join(
            [f"{name}{'' if name in bootloader.BOOTLOADERS else ' (not built yet)'}", kernels, hooks, again]
        )


def matrix() -> Iterator[str]:
    """A row for each bootloader and firmware, a column for each map."""
    yield " | ".join(["bootloader", "firmware", *(f"map {kind}" for kind in MAPS)])
    yield "|".join(["---"] * (2 + len(MAPS)))
    for name in TABLE:
        for firmware in TABLE[name].firmwares:
            yield " | ".join([name, firmware, *(_cell(name, firmware, kind) for kind in MAPS)])


def _cell(name: str, firmware: str, kind: str) -> str:
    def boots(root: str, boot: str | None = None) -> bool:
        return combinations.boots(Combination(name, firmware, kind, root, boot))

    alone = [root for root in ROOTS if boots(root)]
    if not alone:
        return "–"
    apart = [boot for boot in ROOTS if all(boots(root, boot) for root in ROOTS)]
    words = "any" if alone == list(ROOTS) else ", ".join(alone)
    return words if words == "any" or not apart else f"{words}; any with /boot {', '.join(apart)}"


def page() -> str:
    """The whole page."""
    table = {"filesystems": filesystems(), "loaders": loaders(), "combinations": matrix()}
    text = {name: "".join(f"| {row} |\n" for row in rows).replace("| ---|", "|---|").replace("|--- |", "|---|")
            for name, rows in table.items()}  # fmt: skip
    count = sum(what.bootloader in bootloader.BOOTLOADERS for what in combinations.tested())
    return HEAD.format(**text, count=count)


def main() -> int:
    """Write the page, or say whether it is current."""
    return generated.main("disks", PAGE, page, "tables", __doc__)


if __name__ == "__main__":
    sys.exit(main())
