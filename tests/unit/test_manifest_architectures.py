# SPDX-License-Identifier: GPL-3.0-or-later
"""There is a manifest for each architecture, and what it declares can be built and booted by the table."""

from __future__ import annotations

from pathlib import Path

import pytest
from manifest_tools import accepted, check

from debfleet.common import bootloader
from debfleet.common.architectures import TABLE, Architecture
from debfleet.common.disk.combinations import TABLE as BOOTLOADERS
from debfleet.common.manifest.plan import plan

ROWS = pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)


@ROWS
def test_each_has_a_manifest_that_its_usual_machine_boots(repo: Path, row: Architecture) -> None:
    checked = check(repo / f"manifests/kvm-{row.name}.yml")
    manifest = accepted(checked)
    system = manifest["system"]
    assert system["architecture"] == row.name
    assert system["release"] in row.kernel_in
    assert manifest["name"] == f"debian-{system['release']}-{row.name}"
    booted = ["bios", "uefi"] if system["firmware"] == "both" else [system["firmware"]]
    if BOOTLOADERS[system["bootloader"]].by_firmware:
        assert set(booted) <= set(row.firmware)
    else:
        assert booted == ["bios"]  # the machine's own
    planned = plan(checked)
    assert planned.disk is not None
    assert set(row.kernel_packages) <= set(planned.packages)
    assert set(bootloader.packages(system)) <= set(planned.packages)


@ROWS
def test_what_has_a_firmware_has_a_machine_that_boots_by_it(row: Architecture) -> None:
    assert bool(row.bios) is ("bios" in row.firmware)
    assert bool(row.efi) is ("uefi" in row.firmware)
