# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnosis of boots from what their consoles said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debfleet.common.libvirt.signs import ADVICE, REACHED, SIGNS, STAGES
from debfleet.common.libvirt.stages import LINES, Observed, clean, diagnose, ended, reached

SEABIOS = "SeaBIOS (version 1.16.2-debian-1.16.2-1)\r\nBooting from Hard Disk...\r\n"
GRUB = "GRUB loading....\r\nWelcome to GRUB!\r\n\r\n"
KERNEL = (
    "[    0.000000] Linux version 6.1.0-56-cloud-amd64 (gcc-12)\r\n[    0.000000] Command line: ro console=ttyS0\r\n"
)
INITRAMFS = "Loading, please wait...\r\nBegin: Loading essential drivers ... done.\r\n"
SYSTEMD = (
    "[    5.1] systemd[1]: Detected virtualization qemu.\r\n\r\n"
    "Welcome to \x1b[1mDebian GNU/Linux 12 (bookworm)\x1b[0m!\r\n[\x1b[0;32m  OK  \x1b[0m] Started ssh-keys.\r\n"
)
CLOUD = "[   20.1] cloud-init[301]: Cloud-init v. 22.4.2 running 'init-local' at Tue, 24 Nov 2026 18:49:12 +0000.\r\n"
ONLINE = "ci-info: | enp0s16 | True | 10.0.2.15 | 255.255.255.0 |\r\n"
LOGIN = "\r\n\x1b[!p\x1b]104\x07\x1b[?7hDebian GNU/Linux 12 debfleet ttyS0\r\n\r\ndebfleet login: "
BOOTED = SEABIOS + GRUB + KERNEL + INITRAMFS + SYSTEMD + CLOUD

SLOF = "SLOF \x1b[0m\x1b[?25l **********************************\r\nPopulating /vdevice methods\r\n"
UBOOT = "\r\nOpenSBI v1.1\r\n\r\nU-Boot 2023.01+dfsg-2+deb12u3 (Jun 22 2026 - 08:38:07 +0000)\r\n"
IPL = "LOADPARM=[        ]\r\nUsing virtio-blk.\r\n"

FINAL = {
    "nothing for U-Boot": (
        UBOOT + "Hit any key to stop autoboot:  2 \b\b\b 0 \r\nNo ethernet found.\r\n=> ",
        "firmware",
    ),
    "nothing for SLOF": (SLOF + "Trying to load:  from: /pci ... \r\nE3404: Not a bootable device!\r\n", "firmware"),
    "nothing to IPL": (IPL + "No zIPL section in IPL2 record.\r\nzIPL load failed.\r\n", "firmware"),
    "no boot sector": (SEABIOS + "Boot failed: not a bootable disk\r\n\r\nNo bootable device.\r\n", "firmware"),
    "nothing for UEFI": (
        'BdsDxe: loading Boot0001 "UEFI Misc Device"\r\nBdsDxe: failed to load Boot0001: Not Found\r\n'
        "BdsDxe: No bootable option or device was found.\r\nBdsDxe: Press any key to enter the Boot Manager Menu.\r\n",
        "firmware",
    ),
    "grub rescue": (SEABIOS + GRUB + "error: no such device: 6286d9c4.\r\ngrub rescue> ", "bootloader"),
    "no grub.cfg": (
        SEABIOS + GRUB + "\x1b[2J GNU GRUB  version 2.06\r\n\r\n   Minimal BASH-like line editing",
        "bootloader",
    ),
    "no initramfs": (SEABIOS + GRUB + KERNEL + "Kernel panic - not syncing: VFS: Unable to mount root fs", "kernel"),
    "panic": (SEABIOS + GRUB + KERNEL + "Kernel panic - not syncing: System is deadlocked on memory", "kernel"),
    "wrong root=": (SEABIOS + GRUB + KERNEL + INITRAMFS + "ALERT!  UUID=00 does not exist.  Dropping", "initramfs"),
    "dead init": (SEABIOS + GRUB + KERNEL + INITRAMFS + "Kernel panic - not syncing: Attempted to kill init!", "init"),
    "bad fstab": (BOOTED + "You are in emergency mode. After logging in, type", "init"),
}


@pytest.mark.parametrize("case", FINAL)
def test_an_ended_boot_is_known_at_once_with_its_stage_and_lines(case: str) -> None:
    said, stage = FINAL[case]
    found = ended(Observed(said))
    assert found is not None
    assert found.stage == stage
    assert found.advice
    assert 0 < len(found.lines) <= LINES
    assert not any("\x1b" in line for line in found.lines)


LOGINS = {
    "no network": (BOOTED + LOGIN, "silent", "cloud-init", "network"),
    "no SSH server": (BOOTED + ONLINE + LOGIN, "closed", "cloud-init", "ssh"),
    "no user": (
        BOOTED + ONLINE + "cloud-init[9]: Datasource DataSourceNone" + LOGIN,
        "denied",
        "cloud-init",
        "cloud-init",
    ),
    "key refused": (BOOTED + LOGIN, "denied", "ssh", "ssh"),
    "console refused": (BOOTED + LOGIN, "", "console", "init"),
    "services hang": (SEABIOS + GRUB + KERNEL + INITRAMFS + SYSTEMD, "silent", "cloud-init", "init"),
    "cloud-init hangs": (BOOTED, "silent", "cloud-init", "cloud-init"),
    "silent kernel": (SEABIOS + GRUB + "Booting `Debian'\r\n", "", "cloud-init", "kernel"),
    "bad boot sector": (SEABIOS + "Booting from 0000:7c00\r\n", "", "cloud-init", "firmware"),
    "file not there": (SEABIOS + GRUB + "error: file `/vmlinuz' not found.\r\n", "", "cloud-init", "bootloader"),
    "nothing at all": ("", "", "cloud-init", "firmware"),
}


@pytest.mark.parametrize("case", LOGINS)
def test_a_boot_whose_time_is_up_is_diagnosed(case: str) -> None:
    said, ssh, access, stage = LOGINS[case]
    observed = Observed(said, ssh=ssh, access=access)
    assert ended(observed) is None
    assert diagnose(observed).stage == stage


@pytest.mark.parametrize(
    "said",
    [
        SEABIOS + GRUB + "error: no suitable video mode found.\r\nBooting in blind mode\r\n" + KERNEL,
        SEABIOS + GRUB + "error: no such device: x.\r\nPress any key to continue...\r\n",
        SEABIOS + "Boot failed: not a bootable disk\r\n" + GRUB + KERNEL,
        BOOTED + ONLINE + LOGIN,
    ],
)
def test_a_boot_that_goes_on_is_let_go_on(said: str) -> None:
    assert ended(Observed(said)) is None


def test_stages_are_reached_in_their_order() -> None:
    assert reached(Observed(SEABIOS)) == ["firmware"]
    assert reached(Observed(SEABIOS + GRUB)) == ["firmware", "bootloader"]
    assert reached(Observed(BOOTED + ONLINE + LOGIN)) == list(STAGES)


@pytest.mark.parametrize(
    "said",
    [
        SLOF,
        UBOOT,
        IPL,
        "OpenSBI v1.1\r\n",
        "U-Boot 2023.01\r\n",
        "UEFI firmware (version  built at 13:10:49 on Nov  5 2024)\r\n",
    ],
)
def test_the_firmware_of_other_machines_is_known(said: str) -> None:
    assert reached(Observed(said)) == ["firmware"]
    assert reached(Observed(said + "EFI stub: Booting Linux Kernel...\r\n"))[-1] == "kernel"
    assert ended(Observed(said + KERNEL + LOGIN)) is None


def test_what_the_firmware_says_on_its_own_port_counts() -> None:
    found = ended(Observed("", firmware="SeaBIOS (version 1.16)\nNo bootable device.\n"))
    assert found is not None and found.stage == "firmware"


@pytest.mark.parametrize("state", ["gone", "shut off", "crashed"])
def test_a_machine_that_is_gone_has_ended_in_the_stage_it_had_reached(state: str) -> None:
    found = ended(Observed(SEABIOS + GRUB + KERNEL, state=state))
    assert found is not None and found.stage == "kernel" and state in found.why


def test_every_stage_has_its_mark_its_advice_and_its_place() -> None:
    assert set(REACHED) == set(ADVICE) == set(STAGES)
    assert {sign.stage for sign in SIGNS} <= set(STAGES)


@given(st.text(), st.text(), st.sampled_from(["", "silent", "closed", "banner", "denied", "in"]))
def test_any_text_is_diagnosed(serial: str, firmware: str, ssh: str) -> None:
    found = diagnose(Observed(serial, firmware, ssh=ssh))
    assert found.stage in STAGES and found.why and found.advice


def test_a_console_without_its_escapes_is_what_a_reader_saw() -> None:
    assert clean("\x1b[!p\x1b]104\x07\x1b[?7h[\x1b[0;32m  OK  \x1b[0m] Started\r\n") == "[  OK  ] Started\n"
