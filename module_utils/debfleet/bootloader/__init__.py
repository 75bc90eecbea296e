# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bootloader needs in the tree and on the disk; one module a bootloader, one row of the table each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ..disk.shape import Layout
from ..errors import DebfleetError
from . import extlinux, grub, none, systemd_boot


class Bootloader(Protocol):
    """What a bootloader's module has."""

    def packages(self, system: Mapping[str, Any]) -> list[str]:
        """The Debian packages that the image needs."""

    def configure(self, tree: Path, layout: Layout, system: Mapping[str, Any], console: str) -> None:
        """Write what it needs into the tree, once a kernel is there and before the tree is written to the disk."""

    def install(
        self, disk: Path, layout: Layout, tree: Path, system: Mapping[str, Any], *, check_mode: bool = False
    ) -> list[str]:
        """Put it into the filled disk. Returns the places that were written to; with check_mode, that would be."""


BOOTLOADERS: dict[str, Bootloader] = {
    "grub": grub,
    "extlinux": extlinux,
    "systemd-boot": systemd_boot,
    "none": none,
}


def named(name: str) -> Bootloader:
    """The bootloader of this name. Raises DebfleetError where it isn't there yet."""
    if name not in BOOTLOADERS:
        hint = f"one of {', '.join(BOOTLOADERS)}"
        raise DebfleetError(f"the bootloader {name} isn't there yet", where="system.bootloader", hint=hint)
    return BOOTLOADERS[name]


def packages(system: Mapping[str, Any]) -> list[str]:
    """The Debian packages that an image needs for its bootloader.

    :param system: the canonical manifest's `system`.
    """
    return named(system["bootloader"]).packages(system)


def configure(tree: Path, layout: Layout, system: Mapping[str, Any], console: str) -> None:
    """Write what the system's bootloader needs into the tree: its configuration, its modules, its core images.

    To be called once the kernel is installed, and before the tree is written to the disk; calling it again is fine.

    :param console: arguments for the kernel, as ``console=tty0 console=ttyS0,115200``.
    """
    named(system["bootloader"]).configure(tree, layout, system, console)


def install(
    disk: Path, layout: Layout, tree: Path, system: Mapping[str, Any], *, check_mode: bool = False
) -> list[str]:
    """Put the system's bootloader into a filled disk. Returns the places that were written to, none if all was there.

    :param check_mode: only tell the places.
    """
    return named(system["bootloader"]).install(disk, layout, tree, system, check_mode=check_mode)
