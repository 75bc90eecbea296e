# SPDX-License-Identifier: GPL-3.0-or-later
"""The table. A further architecture is a further row; nothing else tells one from another by its name."""

from __future__ import annotations

import platform

from ..errors import DebfleetError
from .row import Architecture, Efi, Firmware, Grub, MachineType

OVMF = Firmware("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd", "ovmf")
OVMF32 = Firmware("/usr/share/OVMF/OVMF32_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF32_VARS_4M.fd", "ovmf-ia32",
                  smm=True)  # fmt: skip
AAVMF = Firmware("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd", "qemu-efi-aarch64")
AAVMF32 = Firmware("/usr/share/AAVMF/AAVMF32_CODE.fd", "/usr/share/AAVMF/AAVMF32_VARS.fd", "qemu-efi-arm")
UBOOT_RISCV = Firmware("/usr/lib/u-boot/qemu-riscv64_smode/uboot.elf", "", "u-boot-qemu", way="kernel")


def _pc(name: str, family: str, uefi: Firmware | None) -> MachineType:
    return MachineType(
        name,
        serial="ttyS0",
        family=family,
        firmware={"bios": None, **({"uefi": uefi} if uefi else {})},
        acpi=("bios", "uefi", "direct"),
        smbios=("bios", "uefi", "direct"),
        fw_cfg=True,
        debug=True,
    )


XEN = (  # fully virtualised, and paravirtualised from a kernel that it is given
    MachineType("xenfv", serial="hvc0", disk="xen", network="netfront", virtio=False, firmware={"bios": None},
                acpi=("bios", "direct")),
    MachineType("xenpv", serial="hvc0", disk="xen", network="netfront", virtio=False),
)  # fmt: skip


ROWS = (
    Architecture(
        name="amd64",
        libvirt="x86_64",
        triplet="x86_64-linux-gnu",
        uname=("x86_64",),
        aliases=("x86_64", "x86-64", "x64"),
        ec2="x86_64",
        bits=64,
        elf_machine=62,
        interpreter="/lib64/ld-linux-x86-64.so.2",
        qemu_user="qemu-x86_64",
        emulator="qemu-system-x86_64",
        packages=("qemu-system-x86",),
        machine_types=(_pc("q35", "pc-q35-", OVMF), _pc("pc", "pc-i440fx-", OVMF)),
        xen_types=XEN,
        kernel_packages=("linux-image-cloud-amd64",),
        bios=Grub("i386-pc", "grub-pc-bin"),
        efi=Efi("x64", Grub("x86_64-efi", "grub-efi-amd64-bin")),
    ),
    Architecture(
        name="i386",
        libvirt="i686",
        triplet="i386-linux-gnu",
        uname=("i686", "i586", "i386"),
        also_runs_on=("x86_64",),
        also_kvm_on=("x86_64",),
        aliases=("i686", "x86"),
        ec2="i386",
        bits=32,
        elf_machine=3,
        interpreter="/lib/ld-linux.so.2",
        qemu_user="qemu-i386",
        emulator="qemu-system-i386",
        packages=("qemu-system-x86",),
        machine_types=(_pc("q35", "pc-q35-", OVMF32), _pc("pc", "pc-i440fx-", None)),
        xen_types=XEN,
        kernel_packages=("linux-image-686-pae",),
        kernel_in=("bookworm",),
        bios=Grub("i386-pc", "grub-pc-bin"),
        efi=Efi("ia32", Grub("i386-efi", "grub-efi-ia32-bin")),
    ),
    Architecture(
        name="arm64",
        libvirt="aarch64",
        triplet="aarch64-linux-gnu",
        uname=("aarch64",),
        aliases=("aarch64", "armv8"),
        ec2="arm64",
        bits=64,
        elf_machine=183,
        interpreter="/lib/ld-linux-aarch64.so.1",
        qemu_user="qemu-aarch64",
        emulator="qemu-system-aarch64",
        packages=("qemu-system-arm",),
        machine_types=(
            # cortex-a57 and not max, whose pointer authentication takes an emulator long
            MachineType(
                "virt",
                serial="ttyAMA0",
                family="virt-",
                cpu="cortex-a57",
                firmware={"uefi": AAVMF},
                acpi=("uefi",),
                smbios=("uefi",),
                kvm=("gic-version=host",),  # version 2 is what QEMU would take, and newer hosts have 3 alone
                fw_cfg=True,
            ),
        ),
        kernel_packages=("linux-image-cloud-arm64",),
        efi=Efi("aa64", Grub("arm64-efi", "grub-efi-arm64-bin")),
    ),
    Architecture(
        name="armhf",
        libvirt="armv7l",
        triplet="arm-linux-gnueabihf",
        uname=("armv7l", "armv8l"),
        aliases=("arm", "armv7", "armv7l"),
        bits=32,
        elf_machine=40,
        interpreter="/lib/ld-linux-armhf.so.3",
        qemu_user="qemu-arm",
        emulator="qemu-system-arm",
        packages=("qemu-system-arm",),
        machine_types=(
            MachineType(
                "virt", serial="ttyAMA0", family="virt-", cpu="cortex-a15", firmware={"uefi": AAVMF32}, fw_cfg=True
            ),
        ),
        kernel_packages=("linux-image-armmp-lpae",),
        efi=Efi("arm", Grub("arm-efi", "grub-efi-arm-bin")),
    ),
    Architecture(
        name="armel",
        libvirt="armv6l",
        triplet="arm-linux-gnueabi",
        uname=("armv6l", "armv5tel", "armv5tejl"),
        also_runs_on=("armv7l", "armv8l"),
        bits=32,
        elf_machine=40,
        interpreter="/lib/ld-linux.so.3",
        qemu_user="qemu-arm",
        emulator="qemu-system-arm",
        packages=("qemu-system-arm",),
        machine_types=(
            MachineType(
                "versatilepb",
                serial="ttyAMA0",
                flavour="versatile",
                cpu="arm926",
                disk="scsi",
                memory=(32, 256),
                cpus=1,
                device_tree="versatile-pb.dtb",
            ),
            MachineType(
                "raspi1ap",
                serial="ttyAMA0",
                flavour="rpi",
                cpu="arm1176",
                disk="sd",
                slots=1,
                network="usb-net",
                virtio=False,
                memory=(512, 512),
                cpus=1,
                arguments="initcall_blacklist=bcm2835_power_driver_init",  # QEMU's board has none: the driver panics
                device_tree="bcm2835-rpi-b-plus.dtb",
            ),
        ),
        kernel_packages=("linux-image-rpi",),
        kernel_in=("bookworm", "trixie"),
    ),
    Architecture(
        name="ppc64el",
        libvirt="ppc64le",
        triplet="powerpc64le-linux-gnu",
        uname=("ppc64le",),
        aliases=("ppc64le", "powerpc64le"),
        bits=64,
        elf_machine=21,
        interpreter="/lib64/ld64.so.2",
        qemu_user="qemu-ppc64le",
        emulator="qemu-system-ppc64",
        packages=("qemu-system-ppc",),
        machine_types=(
            MachineType("pseries", serial="hvc0", family="pseries-", cpu="POWER9", firmware={"slof": None}),
        ),
        kernel_packages=("linux-image-powerpc64le",),
        kernel_file="vmlinux",
    ),
    Architecture(
        name="riscv64",
        libvirt="riscv64",
        triplet="riscv64-linux-gnu",
        uname=("riscv64",),
        bits=64,
        elf_machine=243,
        interpreter="/lib/ld-linux-riscv64-lp64d.so.1",
        qemu_user="qemu-riscv64",
        emulator="qemu-system-riscv64",
        packages=("qemu-system-riscv", "qemu-system-misc"),
        machine_types=(MachineType("virt", serial="ttyS0", cpu="", firmware={"uefi": UBOOT_RISCV}, fw_cfg=True),),
        kernel_packages=("linux-image-riscv64",),
        kernel_in=("trixie", "forky", "sid"),
        kernel_file="vmlinux",
        efi=Efi("riscv64", Grub("riscv64-efi", "grub-efi-riscv64-bin")),
    ),
    Architecture(
        name="s390x",
        libvirt="s390x",
        triplet="s390x-linux-gnu",
        uname=("s390x",),
        bits=64,
        elf_machine=22,
        big_endian=True,
        interpreter="/lib/ld64.so.1",
        qemu_user="qemu-s390x",
        emulator="qemu-system-s390x",
        packages=("qemu-system-s390x", "qemu-system-misc"),
        machine_types=(
            MachineType(
                "s390-ccw-virtio",
                serial="ttysclp0",
                family="s390-ccw-virtio-",
                network="virtio-net-ccw",
                firmware={"ipl": None},
            ),
        ),
        kernel_packages=("linux-image-s390x",),
    ),
)
TABLE = {row.name: row for row in ROWS}


def names() -> dict[str, str]:
    """Debian's name by every name that people use, Debian's own among them."""
    return {other: row.name for row in ROWS for other in (row.name, *row.uname, *row.aliases)}


def architecture(name: str) -> Architecture:
    """The row of this architecture, by any of its names. Raises DebfleetError, with Debian's, when there is none."""
    known = names()
    if name not in known:
        raise DebfleetError(f"there is no architecture {name}", hint=f"those that there are: {', '.join(TABLE)}")
    return TABLE[known[name]]


def host() -> Architecture:
    """The row of the machine that this runs on; amd64's where it isn't known."""
    machine = platform.machine()
    return next((row for row in ROWS if machine in row.uname), ROWS[0])
