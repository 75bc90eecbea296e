# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/architectures.md is what the table and the boots say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from debfleet.common.architectures import TABLE
from debfleet.docs import architectures as page
from debfleet.docs import boots

SERIAL = """\
=== boot by bios
SeaBIOS (version 1)
=== boot by uefi
BdsDxe: loading Boot0001\r
Welcome to GRUB!
[    0.000000] Linux version 6.1.0-50-armmp-lpae
[    0.000000] Machine model: linux,dummy-virt
[    0.1] something else
Begin: Loading essential drivers ... done.
[    9.0] systemd[1]: systemd 252 running
\x1b[32m  OK  \x1b[0m Started ssh.service - OpenBSD Secure Shell server.

Debian GNU/Linux 12 debian ttyAMA0

debian login: [   12.0] cloud-init[7]: busy
"""


def test_the_page_is_current(repo: Path) -> None:
    said = "python -m debfleet.docs.architectures writes it anew"
    assert (repo / page.PAGE).read_text(encoding="utf-8") == page.page(), said


def test_it_tells_of_every_architecture_machine_and_package() -> None:
    said = page.page()
    for row in TABLE.values():
        assert f"| {row.name} |" in said
        words = (*row.kernel_packages, *row.packages, *(machine.name for machine in row.machine_types))
        assert all(word in said for word in words)


def test_an_excerpt_shows_each_stage_of_the_last_boot_once() -> None:
    assert boots.excerpt(SERIAL) == [
        "BdsDxe: loading Boot0001",
        "Welcome to GRUB!",
        "[    0.000000] Linux version 6.1.0-50-armmp-lpae",
        "[    0.000000] Machine model: linux,dummy-virt",
        "Begin: Loading essential drivers ... done.",
        "[    9.0] systemd[1]: systemd 252 running",
        "  OK   Started ssh.service - OpenBSD Secure Shell server.".strip(),
        "debian login:",
    ]


def test_an_excerpt_of_a_boot_that_stopped_shows_its_last_lines() -> None:
    assert boots.excerpt("Linux version 6\nthis\n\nand that\n", stopped=True) == ["Linux version 6", "this", "and that"]
    assert boots.excerpt("x" * 300, stopped=True)[0].endswith("x …")
    assert boots.excerpt("", stopped=True) == []


def test_a_record_comes_back_and_is_told(tmp_path: Path) -> None:
    failed = boots.Record("kvm-riscv64", "trixie", "riscv64", "2026-11-25", why="no mirror")
    proven = replace(failed, manifest="kvm-armhf", architecture="armhf", built=61.7, way="dispatcher", why="",
                     booted=boots.PROVEN, seconds=80.2, machine="virt", firmware="uefi", accelerator="tcg",
                     emulator="QEMU 7.2", lines=("Linux version 6.1", "debian login:"))  # fmt: skip
    for one in (failed, proven):
        one.write(tmp_path)
    assert boots.read(tmp_path) == [proven, failed]
    rows = list(page.booted(boots.read(tmp_path)))
    assert rows[0].startswith(
        "| kvm-armhf | trixie | yes | 62 | dispatcher | proven | 80 | virt | uefi | QEMU 7.2 (tcg)"
    )
    assert rows[1].startswith("| kvm-riscv64 | trixie | no: no mirror | – |")
    (shown,) = page.excerpts(boots.read(tmp_path))
    assert shown.startswith("### armhf\n") and "\ndebian login:\n```" in shown


def test_the_benchmark_comes_from_the_page_of_measurements() -> None:
    measured = "# P\n\n## image-arch\n\n`make bench-image-arch`\n\n| subject | s |\n\n## other\n\nno\n"
    told = page.building(measured)
    assert told.startswith("## How an image is built") and "| subject | s |" in told and "no\n" not in told[-10:]
    assert page.building("# P\n") == page.BUILDING
