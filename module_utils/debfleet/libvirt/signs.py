# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a boot's stages: by what each is known, what shows that it went wrong, and what to do then."""

from __future__ import annotations

from dataclasses import dataclass

STAGES = ("firmware", "bootloader", "kernel", "initramfs", "init", "cloud-init", "network", "ssh")

LOGIN = r"^\S+ login: "
REACHED = {
    "firmware": r"SeaBIOS \(version|BdsDxe: |UEFI (?:Interactive Shell|firmware)|SecCoreStartup|^OpenSBI v\d"
    r"|^U-Boot \d|^SLOF\b|Populating /vdevice|^LOADPARM=\[",
    "bootloader": r"GRUB loading|Welcome to GRUB|GNU GRUB|grub rescue>|Booting `|Loading Linux|systemd-boot|SYSLINUX"
    r"|EXTLINUX|Booting from ROM",
    "kernel": r"Linux version \d|Decompressing Linux|\] Command line: |^EFI stub: |Booting Linux via "
    r"|^Starting kernel ",
    "initramfs": r"Loading, please wait|^Begin: |Run /init as init process|\(initramfs\)",
    "init": r"systemd\[1\]: |Welcome to (?!GRUB).*!$|INIT: version|Run /sbin/init as init",
    "cloud-init": r"cloud-init\[\d+\]: |Cloud-init v\. |Starting .*cloud-init",
    "network": r"Reached target .*(?:network-online\.target|Network is Online)|ci-info: .*\|\s*True\s*\|\s*10\.",
    "ssh": r"Started .*(?:ssh\.service|OpenBSD Secure Shell server)|" + LOGIN,
}

ADVICE = {
    "firmware": "does the disk have what this firmware looks for? see system.firmware in the manifest",
    "bootloader": "the bootloader was started and did not load a kernel: see /boot/grub/grub.cfg in the image",
    "kernel": "nothing is heard of the kernel, or it hangs: is console= the serial port? try accelerator: tcg",
    "initramfs": "the initramfs hangs: see root= and the modules that it has",
    "init": "services do not come up in time: see the failed units, or give it more time (timeout)",
    "cloud-init": "see that the image's datasource_list has NoCloud, and what cloud-init says on the console",
    "network": "see that the image configures its network card by DHCP, whatever its name, and has the card's driver",
    "ssh": "see that openssh-server is installed and enabled, and that its host keys are made at first boot",
}


@dataclass(frozen=True)
class Sign:
    """A pattern in the console's text that shows in which stage a boot has stopped.

    :param final: nothing more is to be expected once it is seen; else it only explains a boot whose time is up.
    :param unless: a stage; once that is reached, this sign says nothing.
    """

    stage: str
    pattern: str
    why: str
    advice: str
    final: bool = True
    unless: str = ""


SIGNS = (
    Sign(
        "firmware",
        r"No bootable device|BdsDxe: No bootable option|UEFI Interactive Shell|enter the Boot Manager Menu|^=> $"
        r"|E3404: Not a bootable device|E3407: Load failed|^zIPL load failed|^Failed to load OS from hard disk",
        "the firmware found nothing to boot on the disk",
        "look at system.bootloader and system.firmware in the manifest: a BIOS needs grub's code in the first sector, "
        "UEFI needs EFI/BOOT/BOOT*.EFI on an EFI system partition; other machines are given a kernel (bootloader none)",
        unless="bootloader",
    ),
    Sign(
        "bootloader",
        r"grub rescue> |^grub> |GNU GRUB.*Minimal BASH|Minimal BASH-like line editing",
        "the bootloader runs and does not find what it should load",
        "compare the filesystem's UUID that grub searches for with the layout in metadata.json, and look for "
        "/boot/grub/grub.cfg and the kernel that it names",
        unless="kernel",
    ),
    Sign(
        "bootloader",
        r"Missing operating system|Operating system not found|Error loading operating system",
        "the code in the first sector found no bootloader behind it",
        "install the bootloader again: rebuild the image",
        unless="kernel",
    ),
    Sign(
        "bootloader",
        r"error: (?:no such (?:device|partition)|unknown filesystem|file .* not found|symbol .* not found)",
        "the bootloader does not find what it should load",
        "look at the names and UUIDs in /boot/grub/grub.cfg",
        final=False,
        unless="kernel",
    ),
    Sign(
        "kernel",
        r"invalid magic number|bad file number|you need to load the kernel first|couldn't load",
        "the bootloader could not load the kernel or its initramfs",
        "look at the files in /boot: are they whole?",
        final=False,
        unless="kernel",
    ),
    Sign(
        "kernel",
        r"Unable to mount root fs",
        "the kernel got no usable initramfs and can't mount root by itself",
        "make the initramfs again (update-initramfs), and see that the bootloader loads it",
    ),
    Sign(
        "init",
        r"Requested init .* failed|No working init found|Attempted to kill init!|not syncing: No init",
        "the kernel and its initramfs are through, and init does not run or died",
        "look at /sbin/init in the image (package systemd-sysv), at its libraries, and at init= on the kernel's "
        "command line",
    ),
    Sign("kernel", r"Kernel panic - not syncing", "the kernel panicked", "read the lines above the panic"),
    Sign(
        "initramfs",
        r"\(initramfs\)|ALERT!\s+\S+ does not exist|Gave up waiting for root|No init found\. Try passing init="
        r"|Target filesystem doesn't have requested",
        "the initramfs did not find the root filesystem, or nothing to run on it",
        "compare root= on the kernel's command line with the filesystem's UUID in metadata.json, and see that the "
        "initramfs has the disk's driver (virtio_blk, nvme …)",
    ),
    Sign(
        "init",
        r"You are in emergency mode|Cannot open access to console, the root account is locked"
        r"|Press Enter for maintenance|Give root password for maintenance|systemd\[1\]: Freezing execution",
        "init stopped in emergency mode",
        "look at /etc/fstab: every filesystem and swap it names must be there",
    ),
)
