# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job: manifests/kvm-amd64.yml becomes an image that boots by BIOS and by UEFI and is what was declared."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import plays
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.root]
MANIFEST = "kvm-amd64"


def test_the_folder_is_whole(built: Callable[..., Path]) -> None:
    folder = built(MANIFEST)
    assert {path.name for path in folder.iterdir()} - {"proof.json", "serial.log", "serial"} >= {
        "disk.qcow2",
        "build.log",
        "manifest.json",
        "packages.json",
        "metadata.json",
        "sbom.cdx.json",
        "SHA256SUMS",
    }
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    metadata = json.loads((folder / "metadata.json").read_text())
    assert [part["name"] for part in metadata["layout"]["partitions"]] == ["bios_grub", "esp", "root"]
    assert set(metadata["seconds"]) >= {"os_installation", "package_installation", "system_modification"}
    installed = {package["name"] for package in json.loads((folder / "packages.json").read_text())["packages"]}
    assert {"linux-image-cloud-amd64", "cloud-init", "openssh-server", "grub2-common"} <= installed


def test_the_build_told_each_phase(built: Callable[..., Path]) -> None:
    told = (built(MANIFEST).parent.parent / "play.log").read_text()
    assert [f"[{n:2}/11]" in told for n in range(1, 12)] == [True] * 11


def test_a_second_look_finds_nothing_either(built: Callable[..., Path]) -> None:
    folder = built(MANIFEST)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "debfleet"), "image", "inspect", "--json", str(folder)],
        text=True,
        capture_output=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (0, True), done.stdout


def test_it_boots_by_bios_and_uefi_and_is_what_was_declared(built: Callable[..., Path]) -> None:
    folder = built(MANIFEST)
    done = plays.run("boot-image", folder.parent, image=folder)
    assert done.returncode == 0, done.stdout
    proof = json.loads((folder / "proof.json").read_text())
    assert proof["sha256"] == json.loads((folder / "metadata.json").read_text())["sha256"]
    assert [boot["firmware"] for boot in proof["boots"]] == ["bios", "uefi"]
    for boot in proof["boots"]:
        checks = {check["name"]: check for check in boot["checks"]}
        assert all(check["ok"] for check in checks.values()), checks
        assert {"token from inside", "release", "root grown", "address by DHCP", "no failed units"} <= set(checks)
