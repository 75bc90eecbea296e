# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd-boot with its kernels on the ESP, and btrfs for root, which fills a larger disk at its first boot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import plays
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.root]
MANIFEST = "kvm-amd64-systemd-boot"


def test_it_boots_by_uefi_and_its_root_grows(built: Callable[..., Path]) -> None:
    folder = built(MANIFEST)
    done = plays.run("boot-image", folder.parent, image=folder)
    assert done.returncode == 0, done.stdout
    proof = json.loads((folder / "proof.json").read_text())
    assert [boot["firmware"] for boot in proof["boots"]] == ["uefi"]
    checks = {check["name"]: check for check in proof["checks"]}
    assert all(check["ok"] for check in checks.values()), checks
    assert "/ btrfs" in checks["mounts"]["seen"] and "/boot/efi vfat" in checks["mounts"]["seen"]
    assert {"token from inside", "root grown", "no failed units"} <= set(checks)
