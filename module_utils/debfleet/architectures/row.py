# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of an architecture: the columns of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

RELEASES = ("bookworm", "trixie", "forky", "sid")  # of which the table knows what is there


@dataclass(frozen=True)
class Firmware:
    """A firmware in files of its own.

    :param code: what the machine runs.
    :param variables: the UEFI variables each machine begins with; empty where it keeps none between boots.
    :param package: the Debian package that has them.
    :param way: how the machine is given it: as flash memory (`pflash`), or as what takes the kernel's place (`kernel`).
    :param smm: whether it wants the system management mode, which it keeps its variables safe by.
    """

    code: str
    variables: str
    package: str
    way: str = "pflash"
    smm: bool = False


@dataclass(frozen=True)
class MachineType:
    """One kind of machine that QEMU makes, and what Debian's kernel drives on it.

    :param name: QEMU's name of it, and libvirt's.
    :param family: how QEMU's names of its versions begin, where it has versions.
    :param flavour: of Debian's kernel, where only that one drives it.
    :param serial: the kernel's name of the first serial port.
    :param cpu: the model of the emulated CPU; `max` has all that QEMU can emulate, and empty leaves it to QEMU.
    :param disk: the bus of its disks, as libvirt names it: virtio, scsi, sd.
    :param slots: for how many disks it has room there, others being USB's; 0 where that is up to the user.
    :param network: QEMU's network card; empty where there is none that the kernel drives.
    :param virtio: whether it has a bus for virtio's devices.
    :param memory: the least and the most of it, in MiB; None where that is up to the user.
    :param cpus: how many virtual CPUs it has at most; 0 where that is up to the user.
    :param firmware: for each kind of firmware it boots a disk by, its files, or None where it has that built in. A
        machine without any boots only a kernel that it is given.
    :param acpi: booted by which firmware it describes itself by ACPI: bios, uefi, direct.
    :param smbios: booted by which firmware it can hand strings to the guest by SMBIOS.
    :param fw_cfg: whether it has QEMU's firmware configuration device, which can hand files to the guest.
    :param kvm: further properties that it needs on KVM.
    :param debug: whether its firmware tells what it does on a port of its own.
    :param arguments: what the kernel must be told besides, where it is started directly.
    :param device_tree: the file of the kernel's package that describes it to the kernel; empty where QEMU does.
    """

    name: str
    serial: str
    family: str = ""
    flavour: str = ""
    cpu: str = "max"
    disk: str = "virtio"
    slots: int = 0
    network: str = "virtio-net-pci"
    virtio: bool = True
    memory: tuple[int, int] | None = None
    cpus: int = 0
    firmware: Mapping[str, Firmware | None] = field(default_factory=dict)
    acpi: tuple[str, ...] = ()
    smbios: tuple[str, ...] = ()
    fw_cfg: bool = False
    kvm: tuple[str, ...] = ()
    debug: bool = False
    arguments: str = ""
    device_tree: str = ""


@dataclass(frozen=True)
class Grub:
    """grub for one firmware: its platform, and the Debian package that has it."""

    platform: str
    package: str


@dataclass(frozen=True)
class Efi:
    """What there is for UEFI.

    :param suffix: as in BOOTX64.EFI, in lower case.
    :param grub: None where Debian has none.
    :param systemd_boot: whether Debian has systemd-boot.
    """

    suffix: str
    grub: Grub | None = None
    systemd_boot: bool = True


@dataclass(frozen=True)
class Architecture:
    """One architecture, by its Debian name.

    :param libvirt: its name in a domain's XML.
    :param triplet: GNU's name, as in paths of libraries.
    :param uname: what `uname -m` says on a machine of the architecture.
    :param also_runs_on: further ones whose kernels run its programs as they are.
    :param also_kvm_on: further ones on which KVM runs machines of it.
    :param aliases: what else people call it.
    :param ec2: EC2's name; empty where EC2 has none.
    :param bits: of an address; `big_endian`, and the number that ELF files have for it (e_machine).
    :param interpreter: the path of its dynamic loader.
    :param qemu_user: the program that runs its programs on other machines, less the ending -static.
    :param emulator: the program that emulates machines of it, from the first of the Debian `packages` that there is.
    :param machine_types: the kinds of machine it runs as; the first is the usual one.
    :param xen_types: the same under Xen.
    :param kernel_packages: the kernel that an image gets; the one for virtual machines where Debian has it.
    :param kernel_in: those of RELEASES that have it.
    :param kernel_file: how the names of its kernels in /boot begin.
    :param bios: grub for the BIOS; None where there is no BIOS.
    :param efi: what there is for UEFI; None where Debian has none for it.
    """

    name: str
    libvirt: str
    triplet: str
    uname: tuple[str, ...]
    bits: int
    elf_machine: int
    interpreter: str
    qemu_user: str
    emulator: str
    packages: tuple[str, ...]
    machine_types: tuple[MachineType, ...]
    kernel_packages: tuple[str, ...]
    xen_types: tuple[MachineType, ...] = ()
    also_runs_on: tuple[str, ...] = ()
    also_kvm_on: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    ec2: str = ""
    big_endian: bool = False
    kernel_in: tuple[str, ...] = RELEASES
    kernel_file: str = "vmlinuz"
    bios: Grub | None = None
    efi: Efi | None = None

    @property
    def runs_on(self) -> tuple[str, ...]:
        """Those of `uname -m` whose kernels run its programs as they are."""
        return (*self.uname, *self.also_runs_on)

    @property
    def kvm_on(self) -> tuple[str, ...]:
        """Those of `uname -m` on which KVM runs machines of it."""
        return (*self.uname, *self.also_kvm_on)

    @property
    def removable(self) -> str:
        """The file that UEFI looks for on a disk that it has no entry of; empty without UEFI."""
        return f"BOOT{self.efi.suffix.upper()}.EFI" if self.efi else ""

    @property
    def machine(self) -> MachineType:
        """The usual kind of machine."""
        return self.machine_types[0]

    @property
    def firmware(self) -> Mapping[str, Firmware | None]:
        """What the usual kind of machine boots disks by."""
        return self.machine.firmware

    def machine_type(self, name: str | None) -> MachineType | None:
        """A kind of machine by its name, the usual one for None; None where there is none of that name."""
        return next((one for one in self.machine_types if name in (None, one.name)), None)

    def machine_for(self, kernel: str) -> MachineType:
        """The kind of machine that this kernel (its version, as `uname -r` says it) drives; else the usual one."""
        fitting = (one for one in self.machine_types if not one.flavour or kernel.endswith(f"-{one.flavour}"))
        return next(fitting, self.machine)

    def elf_magic(self) -> tuple[bytes, bytes]:
        """The first 20 bytes of its programs, and which bits of them count: what binfmt_misc is told.

        An ELF header: magic, class, byte order, version, ABI (Linux's or none), type (2 or 3: program or shared),
        machine.
        """
        order: Literal["big", "little"] = "big" if self.big_endian else "little"
        ident = b"\x7fELF" + bytes([self.bits // 32, 2 if self.big_endian else 1, 1]) + bytes(9)
        tail = (2).to_bytes(2, order) + self.elf_machine.to_bytes(2, order)
        counts = b"\xff" * 7 + b"\x00" + b"\xff" * 8
        kind = b"\xff\xfe" if self.big_endian else b"\xfe\xff"
        return ident + tail, counts + kind + b"\xff\xff"
