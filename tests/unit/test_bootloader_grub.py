# SPDX-License-Identifier: GPL-3.0-or-later
"""grub's configuration, its packages, and its images' bytes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from debfleet.common import bootloader
from debfleet.common.bootloader import grub, grub_config
from debfleet.common.disk import layout
from debfleet.common.errors import DebfleetError

CONSOLE = "console=tty0 console=ttyS0,115200"


def planned(**more: Any) -> layout.Layout:
    partitions = {"type": "gpt", "root": {"size": "1GiB"}, **more}
    return layout.plan({"size": None, "partitions": partitions}, firmware="both", bootloader="grub", seed="s")


def system(**more: Any) -> dict[str, Any]:
    return {"architecture": "amd64", "firmware": "both", "bootloader": "grub", **more}


def test_the_menu_boots_by_uuid() -> None:
    plan = planned()
    assert grub_config.menu(plan, "vmlinuz-6.12-amd64", "initrd.img-6.12-amd64", CONSOLE).splitlines() == [
        "set default=0",
        "set timeout=1",
        "serial --unit=0 --speed=115200",
        "terminal_input console serial",
        "terminal_output console serial",
        "menuentry 'Debian GNU/Linux' {",
        f"    search --no-floppy --fs-uuid --set=root {plan.root.uuid}",
        f"    linux /boot/vmlinuz-6.12-amd64 root=UUID={plan.root.uuid} ro {CONSOLE}",
        "    initrd /boot/initrd.img-6.12-amd64",
        "}",
    ]


def test_a_separate_boot_is_where_grub_looks() -> None:
    plan = planned(boot={"size": "200MiB", "filesystem": "ext2"})
    boot = plan.named("boot")
    assert boot is not None
    assert grub_config.embedded(plan) == f"search.fs_uuid {boot.uuid} root\nset prefix=($root)/grub\n"
    menu = grub_config.menu(plan, "vmlinuz-1", "initrd.img-1", "")
    assert (
        f"--set=root {boot.uuid}\n    linux /vmlinuz-1 root=UUID={plan.root.uuid} ro\n    initrd /initrd.img-1\n"
        in menu
    )
    assert grub_config.embedded(planned()).endswith("set prefix=($root)/boot/grub\n")


@pytest.mark.parametrize(
    ("console", "port"),
    [
        (CONSOLE, (0, 115200)),
        ("console=ttyS1,57600n8 console=tty0", (1, 57600)),
        ("console=ttyS0", (0, 9600)),
        ("console=tty0", None),
        ("console=ttyAMA0", None),
        ("", None),
    ],
)
def test_the_serial_port_is_the_kernels(console: str, port: tuple[int, int] | None) -> None:
    assert grub_config.serial(console) == port
    for text in (grub_config.menu(planned(), "vmlinuz-1", "initrd.img-1", console), grub_config.defaults(console)):
        assert ("console serial" in text) is (port is not None)
        if port:
            assert f"serial --unit={port[0]} --speed={port[1]}" in text


@pytest.mark.parametrize(
    ("more", "packages"),
    [
        ({"firmware": "bios"}, {"grub2-common", "grub-pc-bin"}),
        ({"firmware": "uefi"}, {"grub2-common", "grub-efi-amd64-bin", "efibootmgr"}),
        ({"firmware": "both"}, {"grub2-common", "grub-pc-bin", "grub-efi-amd64-bin", "efibootmgr"}),
        ({"firmware": "uefi", "architecture": "arm64"}, {"grub2-common", "grub-efi-arm64-bin", "efibootmgr"}),
        ({"firmware": "both", "bootloader": "none"}, set()),
    ],
)
def test_the_packages_that_the_image_needs(more: dict[str, Any], packages: set[str]) -> None:
    assert set(bootloader.packages(system(**more))) == packages


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"architecture": "s390x"}, "system.bootloader"),
        ({"architecture": "arm64", "firmware": "bios"}, "system.firmware"),
        ({"bootloader": "lilo"}, "system.bootloader"),
    ],
)
def test_what_there_is_no_bootloader_for(more: dict[str, Any], where: str) -> None:
    with pytest.raises(DebfleetError) as caught:
        bootloader.packages(system(**more))
    assert caught.value.where == where


def test_the_images_keep_the_disks_id_and_table_and_know_where_they_lie() -> None:
    mbr, boot, core = bytes([1]) * 510 + b"\x55\xaa", bytes([2]) * 510 + b"\x55\xaa", bytes([3]) * 1000
    first, rest = grub.bios_images(mbr, boot, core, 2048)
    assert len(first) == 512 and len(rest) == 1024
    assert first[0x1B8:0x1FE] == mbr[0x1B8:0x1FE] and first[510:] == b"\x55\xaa"
    assert struct.unpack_from("<Q", first, 0x5C) == (2048,)
    assert (first[0x64], first[0x66:0x68]) == (0xFF, b"\x90\x90")
    assert first[:0x5C] == boot[:0x5C]
    assert struct.unpack_from("<QHH", rest, 0x1F4) == (2049, 1, 0x820)
    assert rest[1000:] == bytes(24)
    with pytest.raises(ValueError, match="no boot sector"):
        grub.bios_images(mbr, bytes(512), core, 1)


def test_no_kernel_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DebfleetError, match="no kernel"):
        bootloader.configure(tmp_path, planned(), system(), CONSOLE)
    assert list(tmp_path.iterdir()) == []


def test_grub_that_is_not_in_the_image_is_told_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-1").touch()
    with pytest.raises(DebfleetError, match="grub for i386-pc isn't in the image"):
        bootloader.configure(tmp_path, planned(), system(), CONSOLE)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["boot", "vmlinuz-1"]


def test_none_writes_nothing(tmp_path: Path) -> None:
    bare = system(bootloader="none")
    bootloader.configure(tmp_path, planned(), bare, CONSOLE)
    assert bootloader.install(tmp_path / "disk", planned(), tmp_path, bare) == []
    assert list(tmp_path.iterdir()) == []
