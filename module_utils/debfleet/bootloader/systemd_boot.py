# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd-boot for UEFI: kernels and initramfs lie on the EFI system partition, as kernel-install puts them there.

`configure` writes what kernel-install would into the tree's /boot/efi, from where it comes to the ESP with the tree;
`install` adds the loader itself. In the machine, Debian's hooks call kernel-install for each kernel that comes or goes,
and `bootctl update` brings a newer loader in. Nothing of the host's is needed but mtools.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import kernels
from ..architectures import TABLE, architecture
from ..disk.shape import Layout
from ..errors import DebfleetError
from . import esp, files

LOADERS = "usr/lib/systemd/boot/efi"
TOKEN = "debian"  # in the place of the machine-id, which an image doesn't have
TIMEOUT = 1  # seconds that the menu waits
MOUNT = "boot/efi"


def _name(system: Mapping[str, Any]) -> str:
    efi = architecture(system["architecture"]).efi
    if not efi or not efi.systemd_boot:
        there = [row.name for row in TABLE.values() if row.efi and row.efi.systemd_boot]
        raise DebfleetError(
            f"there is no systemd-boot for {system['architecture']}",
            where="system.bootloader",
            hint=f"it is there for {', '.join(there)}",
        )
    return efi.suffix


def packages(system: Mapping[str, Any]) -> list[str]:
    """The Debian packages that the image needs: the loader, and the hooks that call kernel-install."""
    _name(system)
    return ["systemd-boot", "efibootmgr"]


def entry(title: str, release: str, order: str, options: str, initrd: str | None) -> str:
    """The text of a boot entry, as kernel-install writes it.

    :param release: the kernel's, as 6.12.41-cloud-amd64.
    :param order: entries are sorted by it, then by release.
    """
    lines = [
        "# Boot Loader Specification type#1 entry",
        f"title      {title}",
        f"version    {release}",
        f"sort-key   {order}",
        f"options    {options}",
        f"linux      /{TOKEN}/{release}/linux",
        *([f"initrd     /{TOKEN}/{release}/{initrd}"] if initrd else []),
    ]
    return "".join(f"{line}\n" for line in lines)


def configure(tree: Path, layout: Layout, system: Mapping[str, Any], console: str) -> None:
    """Write the settings of kernel-install, and an entry with its files for each kernel, into the tree.

    :param console: arguments for the kernel, as ``console=tty0 console=ttyS0,115200``.
    """
    loader(tree, system)
    options = f"root=UUID={layout.root.uuid} ro {console}".rstrip()
    files.write(tree / "etc/kernel/cmdline", f"{options}\n")
    files.write(tree / "etc/kernel/entry-token", f"{TOKEN}\n")
    files.write(tree / "etc/kernel/install.conf", "layout=bls\n")
    top = tree / MOUNT
    for stale in (top / TOKEN, top / "loader"):
        shutil.rmtree(stale, ignore_errors=True)
    files.write(top / "loader/loader.conf", f"timeout {TIMEOUT}\nconsole-mode keep\n")
    files.write(top / "loader/entries.srel", "type1\n")
    title, order = _distribution(tree)
    for kernel in kernels.needed(tree):
        release = kernels.version(kernel)
        folder = top / TOKEN / release
        folder.mkdir(parents=True)
        shutil.copy(tree / "boot" / kernel, folder / "linux")
        initrd = tree / "boot" / kernels.initrd(kernel)
        if initrd.is_file():
            shutil.copy(initrd, folder / initrd.name)
        text = entry(title, release, order, options, initrd.name if initrd.is_file() else None)
        files.write(top / "loader/entries" / f"{TOKEN}-{release}.conf", text)


def loader(tree: Path, system: Mapping[str, Any]) -> Path:
    """The loader that bootctl would take: the signed one where there is one, as from trixie on."""
    plain = f"systemd-boot{_name(system)}.efi"
    for name in (f"{plain}.signed", plain):
        if (tree / LOADERS / name).is_file():
            return tree / LOADERS / name
    why = f"there is no /{LOADERS}/{plain}"
    raise DebfleetError("systemd-boot isn't in the image", where="packages.install", why=why)


def _distribution(tree: Path) -> tuple[str, str]:
    """The system's name and its word for sorting, of os-release."""
    path = tree / "usr/lib/os-release"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = {name: value.strip("\"'") for name, value in re.findall(r"^(\w+)=(.*)$", text, re.M)}
    return found.get("PRETTY_NAME", "Debian GNU/Linux"), found.get("IMAGE_ID") or found.get("ID", "debian")


def install(
    disk: Path, layout: Layout, tree: Path, system: Mapping[str, Any], *, check_mode: bool = False
) -> list[str]:
    """Put the loader into the ESP of a filled disk. Returns the places that were written to."""
    if not disk.is_file():
        raise DebfleetError(f"there is no disk {disk}")
    source, name = loader(tree, system), _name(system)
    places = (f"{esp.FOLDER}/BOOT{name.upper()}.EFI", f"EFI/systemd/systemd-boot{name}.efi")
    return esp.put(disk, layout, dict.fromkeys(places, source), check_mode=check_mode)
