# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of architectures: Debian's name for each, and what others call it and need for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import DebfleetError


@dataclass(frozen=True)
class Firmware:
    """A UEFI firmware in two files: the code, and the variables each machine begins with."""

    code: str
    variables: str
    package: str


@dataclass(frozen=True)
class Architecture:
    """One architecture, by its Debian name.

    :param libvirt: its name in a domain's XML, which is also QEMU's.
    :param machine: QEMU's machine type.
    :param kernel: what `uname -m` says on a machine that runs it natively.
    :param serial: the kernel's name of the first serial port.
    :param kernel_packages: the kernel that an image gets; the one for virtual machines where Debian has it.
    :param emulator: the program that emulates it, from the Debian package `package`.
    :param firmware: for each kind of firmware it boots by, its UEFI files, or None where the machine type has its own.
    """

    name: str
    libvirt: str
    machine: str
    kernel: str
    serial: str
    kernel_packages: tuple[str, ...]
    emulator: str
    package: str
    firmware: Mapping[str, Firmware | None] = field(default_factory=dict)


OVMF = Firmware("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd", "ovmf")

TABLE = {
    row.name: row
    for row in (
        Architecture(
            name="amd64",
            libvirt="x86_64",
            machine="q35",
            kernel="x86_64",
            serial="ttyS0",
            kernel_packages=("linux-image-cloud-amd64",),
            emulator="qemu-system-x86_64",
            package="qemu-system-x86",
            firmware={"bios": None, "uefi": OVMF},
        ),
    )
}


def architecture(name: str) -> Architecture:
    """The row of this architecture. Raises DebfleetError, with those that are there, when it has none."""
    if name not in TABLE:
        known = ", ".join(TABLE)
        raise DebfleetError(f"machines of architecture {name} can't be run yet", hint=f"those that can: {known}")
    return TABLE[name]
