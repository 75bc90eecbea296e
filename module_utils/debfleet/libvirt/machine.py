# SPDX-License-Identifier: GPL-3.0-or-later
"""What a domain is made of. Everything that is to be found out is found: nothing here looks at files or at libvirt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..architectures import Architecture, MachineType

SSH = 22
LOCAL = "127.0.0.1"
DIRECT = "direct"  # in place of a firmware: the kernel is given to the machine


@dataclass(frozen=True)
class Kernel:
    """A kernel that is booted directly, without a bootloader of the image."""

    image: Path
    initrd: Path | None
    cmdline: str
    device_tree: Path | None = None


@dataclass(frozen=True)
class Disk:
    """A disk: a file in one of QEMU's formats (raw, qcow2, vmdk …)."""

    path: Path
    format: str
    readonly: bool = False


@dataclass(frozen=True)
class Forward:
    """A port of ours that leads to one of the guest's. Host port 0: QEMU chooses one when it starts."""

    host: int
    guest: int
    address: str = LOCAL
    protocol: str = "tcp"

    def __str__(self) -> str:
        """As QEMU has it."""
        return f"{self.protocol}:{self.address}:{self.host}-:{self.guest}"


@dataclass(frozen=True)
class Network:
    """A network card.

    :param type: user (QEMU's own, which needs no rights), nat (one of libvirt's networks) or bridge.
    :param source: the name of libvirt's network, or of the bridge.
    """

    type: str = "user"
    source: str = ""
    mac: str = ""
    forwards: tuple[Forward, ...] = ()


@dataclass(frozen=True)
class HostDevice:
    """A device of this machine that the guest gets: PCI by domain, bus, slot, function; USB by vendor, product."""

    bus: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Machine:
    """What a domain is made of.

    :param type: the kind of machine, one of the architecture's.
    :param firmware: one that the kind of machine has, as bios or uefi; or `direct`.
    :param accelerator: kvm, tcg, or xen.
    :param memory: bytes.
    :param serial: the file that gets all that the first serial port says; `debug` what the firmware says.
    :param variables: the domain's own copy of the UEFI variables; None leaves its place to libvirt.
    :param credentials: systemd credentials by name, handed in by SMBIOS or by QEMU's firmware configuration device.
    :param owner: uid and gid that QEMU runs as, where the daemon can choose; None leaves it to libvirt.
    :param volatile: whether nothing of it need outlive it.
    :param origin: what it is made from, kept with the domain: by this it is known as ours.
    """

    name: str
    architecture: Architecture
    type: MachineType
    firmware: str
    accelerator: str
    memory: int
    cpus: int
    disks: Sequence[Disk]
    serial: Path | None = None
    debug: Path | None = None
    variables: Path | None = None
    kernel: Kernel | None = None
    credentials: Mapping[str, str] = field(default_factory=dict)
    networks: Sequence[Network] = ()
    host_devices: Sequence[HostDevice] = ()
    owner: tuple[int, int] | None = None
    volatile: bool = False
    uuid: str = ""
    origin: Mapping[str, str] | None = None
    emulator: str = ""

    @property
    def smbios(self) -> bool:
        """Whether it can be handed strings by SMBIOS."""
        return self.firmware in self.type.smbios

    @property
    def takes_credentials(self) -> bool:
        """Whether systemd in the guest can be handed credentials from outside."""
        return self.smbios or self.type.fw_cfg
