# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnosis of a boot: how far it came, where it stopped, the lines that show it, and what to do. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

STAGES = ("firmware", "bootloader", "kernel", "initramfs", "init", "cloud-init", "network", "ssh")
LINES = 12  # lines of the log that a diagnosis shows at most
ESCAPES = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1bc|\x1b[()][A-Z0-9]|[\x00\x07\x08\r]")

REACHED = {
    "firmware": r"SeaBIOS \(version|BdsDxe: |UEFI (?:Interactive Shell|firmware)|SecCoreStartup",
    "bootloader": r"GRUB loading|Welcome to GRUB|GNU GRUB|grub rescue>|Booting `|Loading Linux|systemd-boot|SYSLINUX|EXTLINUX|Booting from ROM",
    "kernel": r"Linux version \d|Decompressing Linux|EFI stub: Loaded initrd|\] Command line: ",
    "initramfs": r"Loading, please wait|Begin: |Run /init as init process|\(initramfs\)",
    "init": r"systemd\[1\]: |Welcome to (?!GRUB).*!$|INIT: version|Run /sbin/init as init|Switching root",
    "cloud-init": r"cloud-init\[\d+\]: |Cloud-init v\. |Starting .*cloud-init",
    "network": r"Reached target .*(?:network-online\.target|Network is Online)|ci-info: .*\|\s*True\s*\|\s*10\.",
    "ssh": r"Started .*(?:ssh\.service|OpenBSD Secure Shell server)|^\S+ login: ",
}


@dataclass(frozen=True)
class Observed:
    """What is seen of a boot from outside.

    :param serial: all the serial port said; `firmware` all the firmware said on its own port.
    :param state: the domain's state in libvirt's words, or `gone`.
    :param ssh: what answers at the SSH port: silent, closed, banner, denied, in; empty when it wasn't tried.
    :param access: how we wanted to log in: cloud-init, ssh or console.
    """

    serial: str
    firmware: str = ""
    state: str = "running"
    ssh: str = ""
    access: str = "cloud-init"


@dataclass(frozen=True)
class Diagnosis:
    """Where a boot stopped and why, the lines that show it, and what to do."""

    stage: str
    why: str
    advice: str
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sign:
    """A pattern that names a stage in which a boot has ended for good (or, with `final` False, what went wrong on the way)."""

    stage: str
    pattern: str
    why: str
    advice: str
    final: bool = True


SIGNS = (
    Sign("firmware", r"No bootable device|Boot failed: not a bootable disk|BdsDxe: (?:No bootable option|failed to load)"
         r"|UEFI Interactive Shell|BdsDxe: Press any key to enter the Boot Manager",
         "the firmware found nothing to boot on the disk",
         "look at system.bootloader and system.firmware in the manifest: a BIOS needs grub's code in the first sector, UEFI "
         "needs EFI/BOOT/BOOT*.EFI on an EFI system partition"),
    Sign("bootloader", r"grub rescue>|error: no such (?:device|partition)|error: unknown filesystem|error: file .* not found"
         r"|error: symbol .* not found|^grub> |GNU GRUB.*Minimal BASH",
         "the bootloader runs and does not find what it should load",
         "compare the filesystem's UUID that grub searches for with the layout in metadata.json, and look for /boot/grub/grub.cfg"
         " and the kernel that it names"),
    Sign("bootloader", r"Missing operating system|Operating system not found|Error loading operating system",
         "the code in the first sector found no bootloader behind it", "install the bootloader again: rebuild the image"),
    Sign("kernel", r"invalid magic number|bad file number|you need to load the kernel first|error: couldn't load",
         "the bootloader could not load the kernel or its initramfs", "look at the files in /boot: are they whole?"),
    Sign("kernel", r"Unable to mount root fs|VFS: Cannot open root device",
         "the kernel got no usable initramfs and can't mount root by itself",
         "make the initramfs again (update-initramfs), and see that the bootloader loads it"),
    Sign("init", r"Requested init .* failed|No working init found|Attempted to kill init!|not syncing: No init",
         "the kernel and its initramfs are through, and init does not run or died",
         "look at /sbin/init in the image (package systemd-sysv), at its libraries, and at init= on the kernel's command line"),
    Sign("kernel", r"Kernel panic - not syncing", "the kernel panicked", "read the lines above the panic"),
    Sign("initramfs", r"\(initramfs\)|ALERT!\s+\S+ does not exist|Gave up waiting for root|No init found\. Try passing init="
         r"|Target filesystem doesn't have requested",
         "the initramfs did not find the root filesystem, or nothing to run on it",
         "compare root= on the kernel's command line with the filesystem's UUID in metadata.json, and see that the initramfs has "
         "the disk's driver (virtio_blk, nvme …)"),
    Sign("init", r"You are in emergency mode|Cannot open access to console, the root account is locked|Press Enter for maintenance"
         r"|Give root password for maintenance|Freezing execution",
         "init stopped in emergency mode", "look at /etc/fstab: every filesystem and swap it names must be there"),
)  # fmt: skip

FAILED_UNIT = r"\[FAILED\]|\[DEPEND\]|Failed to start|Timed out waiting for"
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


def clean(text: str) -> str:
    """The text of a console without escapes and carriage returns."""
    return ESCAPES.sub("", text)


def reached(observed: Observed) -> list[str]:
    """The stages that this boot has reached, in order."""
    text = clean(observed.firmware + "\n" + observed.serial)
    return [stage for stage in STAGES if re.search(REACHED[stage], text, re.M)]


def _shown(text: str, pattern: str) -> list[str]:
    """The last lines up to the first one that matches, or the last of all."""
    lines = [line.strip() for line in clean(text).splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if re.search(pattern, line):
            return lines[max(0, number - LINES // 2) : number + LINES // 2]
    return lines[-LINES:]


def ended(observed: Observed) -> Diagnosis | None:
    """Whether the boot has ended for good in some stage: nothing more is to be expected. None while it goes on."""
    text = clean(observed.firmware + "\n" + observed.serial)
    for sign in SIGNS:
        if re.search(sign.pattern, text, re.M):
            return Diagnosis(sign.stage, sign.why, sign.advice, _shown(text, sign.pattern))
    if observed.state in ("gone", "shut off", "crashed"):
        stage = (reached(observed) or ["firmware"])[-1]
        return Diagnosis(stage, f"the machine is {observed.state}", ADVICE[stage], _shown(text, r"$^"))
    return None


def diagnose(observed: Observed) -> Diagnosis:
    """Where a boot that did not get through stopped."""
    if diagnosis := ended(observed):
        return diagnosis
    text = clean(observed.firmware + "\n" + observed.serial)
    stages = reached(observed)
    booted = "ssh" in stages or bool(re.search(r"^\S+ login: ", text, re.M))
    if not booted and not observed.ssh.startswith(("banner", "denied", "in")):
        stage, why = _unfinished(stages)
        return Diagnosis(stage, why, ADVICE[stage], _shown(text, FAILED_UNIT))
    if observed.access == "console":
        return Diagnosis("init", "the login at the serial console did not work", ADVICE["init"], _shown(text, FAILED_UNIT))
    if observed.ssh == "silent":
        pattern = r"wait-online|networkd|networking\.service|ci-info: .*False|Network"
        return Diagnosis("network", "the guest has booted and does not answer on the network", ADVICE["network"], _shown(text, pattern))
    if observed.ssh == "closed":
        return Diagnosis("ssh", "the guest answers and no SSH server listens", ADVICE["ssh"], _shown(text, r"(?i)ssh"))
    if observed.access == "cloud-init":
        why = "the SSH server runs, and cloud-init has not made the user it was told to make"
        return Diagnosis("cloud-init", why, ADVICE["cloud-init"], _shown(text, r"(?i)cloud-init|DataSourceNone"))
    return Diagnosis("ssh", "the SSH server refuses the key", ADVICE["ssh"], _shown(text, r"(?i)ssh"))


def _unfinished(stages: list[str]) -> tuple[str, str]:
    """Where a boot hangs that says nothing of its end: in what came last, or in what should have come next."""
    if not stages:
        return "firmware", "nothing was heard of the machine"
    last = stages[-1]
    if last == "bootloader":
        return "kernel", "the bootloader is through, and nothing was heard of the kernel"
    return last, f"time is up, and nothing came after the stage {last}"
