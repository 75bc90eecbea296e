# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd-boot's and extlinux's files, as far as no tool of theirs is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from debfleet.common import bootloader
from debfleet.common.bootloader import extlinux, systemd_boot
from debfleet.common.disk import layout
from debfleet.common.errors import DebfleetError

CONSOLE = "console=tty0 console=ttyS0,115200"
OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\n'


def planned(loader: str, kind: str = "gpt", **partitions: Any) -> layout.Layout:
    firmware = "uefi" if loader == "systemd-boot" else "bios"
    volume = {"size": None, "partitions": {"type": kind, **partitions, "root": {"size": "1GiB", "filesystem": "ext4"}}}
    return layout.plan(volume, firmware=firmware, bootloader=loader, seed="s")


def system(loader: str, architecture: str = "amd64") -> dict[str, Any]:
    return {"bootloader": loader, "architecture": architecture, "firmware": "uefi"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("vmlinuz-6.12-amd64", "initrd.img-6.12-amd64", "vmlinuz-6.1-amd64"):
        write(tmp_path / "boot" / name, name)
    write(tmp_path / "usr/lib/os-release", OS_RELEASE)
    write(tmp_path / "usr/lib/systemd/boot/efi/systemd-bootx64.efi", "plain")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_systemd_boot_has_an_entry_with_its_files_for_each_kernel(tree: Path) -> None:
    plan = planned("systemd-boot")
    write(tree / "boot/efi/loader/entries/stale.conf", "of an earlier kernel")
    for _ in range(2):
        bootloader.configure(tree, plan, system("systemd-boot"), CONSOLE)
    esp = tree / "boot/efi"
    files = sorted(str(path.relative_to(esp)) for path in esp.rglob("*") if path.is_file())
    assert files == [
        "debian/6.1-amd64/linux",
        "debian/6.12-amd64/initrd.img-6.12-amd64",
        "debian/6.12-amd64/linux",
        "loader/entries.srel",
        "loader/entries/debian-6.1-amd64.conf",
        "loader/entries/debian-6.12-amd64.conf",
        "loader/loader.conf",
    ]
    entry = (esp / "loader/entries/debian-6.12-amd64.conf").read_text()
    assert f"options    root=UUID={plan.root.uuid} ro {CONSOLE}\n" in entry
    assert "title      Debian GNU/Linux 13 (trixie)\n" in entry and "sort-key   debian\n" in entry
    assert "linux      /debian/6.12-amd64/linux\ninitrd     /debian/6.12-amd64/initrd.img-6.12-amd64\n" in entry
    assert "initrd" not in (esp / "loader/entries/debian-6.1-amd64.conf").read_text()
    assert (esp / "debian/6.12-amd64/linux").read_text() == "vmlinuz-6.12-amd64"
    assert (tree / "etc/kernel/cmdline").read_text() == f"root=UUID={plan.root.uuid} ro {CONSOLE}\n"
    assert (tree / "etc/kernel/entry-token").read_text() == "debian\n"


@pytest.mark.parametrize("loader", ["systemd-boot", "extlinux"])
def test_a_bootloader_that_is_not_in_the_image_is_told_before_anything_is_written(tree: Path, loader: str) -> None:
    (tree / "usr/lib/systemd/boot/efi/systemd-bootx64.efi").unlink()
    with pytest.raises(DebfleetError, match=f"{loader} isn't in the image") as caught:
        bootloader.configure(tree, planned(loader), system(loader), CONSOLE)
    assert caught.value.where == "packages.install"
    assert not (tree / "etc").exists() and not (tree / "boot/efi").exists()


@pytest.mark.parametrize("loader", ["systemd-boot", "extlinux"])
def test_no_disk(tree: Path, loader: str) -> None:
    with pytest.raises(DebfleetError, match="there is no disk"):
        bootloader.install(tree / "disk.raw", planned(loader), tree, system(loader))


def test_the_packages_that_the_image_needs() -> None:
    assert bootloader.packages(system("systemd-boot")) == ["systemd-boot", "efibootmgr"]
    assert bootloader.packages(system("extlinux")) == ["extlinux", "u-boot-menu"]
    with pytest.raises(DebfleetError, match="no systemd-boot for s390x") as caught:
        bootloader.packages(system("systemd-boot", "s390x"))
    assert caught.value.where == "system.bootloader"


MENU = "label l0\n\tmenu label Debian /boot/ 6\n\tlinux /boot/vmlinuz-6\n\tinitrd /boot/initrd.img-6\n\tappend root=x\n"


def test_extlinux_finds_its_kernels_also_in_a_boot_of_their_own() -> None:
    assert extlinux.menu(MENU, planned("extlinux")) == MENU
    apart = extlinux.menu(MENU, planned("extlinux", boot={"size": "1GiB", "filesystem": "ext4"}))
    assert "\tlinux /vmlinuz-6\n\tinitrd /initrd.img-6\n" in apart and "Debian /boot/ 6" in apart


def test_extlinux_is_told_root_and_consoles() -> None:
    plan = planned("extlinux")
    said = extlinux.settings(plan, CONSOLE)
    assert said == f'U_BOOT_ROOT="root=UUID={plan.root.uuid}"\nU_BOOT_PARAMETERS="ro {CONSOLE}"\n'
    assert 'U_BOOT_PARAMETERS="ro"' in extlinux.settings(plan, "")


def test_the_signed_loader_is_preferred(tree: Path) -> None:
    write(tree / "usr/lib/systemd/boot/efi/systemd-bootx64.efi.signed", "signed")
    assert systemd_boot.loader(tree, system("systemd-boot")).read_text() == "signed"
