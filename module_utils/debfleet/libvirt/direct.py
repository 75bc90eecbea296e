# SPDX-License-Identifier: GPL-3.0-or-later
"""Booting an image by a kernel that is given to the machine: the one beside an image that has no bootloader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..architectures import MachineType
from ..errors import DebfleetError
from .devices_xml import disk_name
from .image import ImageFolder
from .machine import Kernel

CONSOLE = "tty0"  # a screen, where there is one


def cmdline(machine: MachineType, root_uuid: str = "") -> str:
    """A kernel's command line when it is booted directly: root by its UUID, else the first disk."""
    root = f"UUID={root_uuid}" if root_uuid else f"/dev/{disk_name(machine.disk, 0)}"
    return " ".join(filter(None, (f"root={root} ro console={CONSOLE} console={machine.serial}", machine.arguments)))


def beside(image: ImageFolder, machine: MachineType | None = None) -> Kernel | None:
    """The kernel beside an image that has no bootloader; None for one that has. Raises DebfleetError without one."""
    if image.bootloader() != "none":
        return None
    machine = machine or image.machine
    there = by_convention(image.path, machine, image.root_uuid())
    if not there.image.exists():
        raise DebfleetError("the image has no bootloader, and no kernel lies beside it", where=str(there.image))
    initrd, tree = there.initrd, there.device_tree
    return replace(
        there,
        initrd=initrd if initrd and initrd.exists() else None,
        device_tree=tree if tree and tree.exists() else None,
    )


def by_convention(folder: Path, machine: MachineType, root_uuid: str = "") -> Kernel:
    """The kernel beside an image, by the names that we give it, whether it is there or not."""
    tree = folder / machine.device_tree if machine.device_tree else None
    return Kernel(folder / "vmlinuz", folder / "initrd.img", cmdline(machine, root_uuid), tree)
