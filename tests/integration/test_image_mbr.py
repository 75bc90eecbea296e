# SPDX-License-Identifier: GPL-3.0-or-later
"""An MBR with boot, swap and nested partitions, each at its mount point in the machine that boots it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import plays
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.root]
MANIFEST = "kvm-amd64-mbr"


def test_it_boots_with_every_partition_in_its_place(built: Callable[..., Path]) -> None:
    folder = built(MANIFEST)
    layout = json.loads((folder / "metadata.json").read_text())["layout"]
    mounts = {part["mount"] for part in layout["partitions"] if part["mount"]}
    assert mounts == {"/", "/boot", "/var", "/var/tmp"}
    done = plays.run("boot-image", folder.parent, image=folder)
    assert done.returncode == 0, done.stdout
    proof = json.loads((folder / "proof.json").read_text())
    checks = {check["name"]: check for check in proof["checks"]}
    assert all(check["ok"] for check in checks.values()), checks
    assert all(mount in checks["mounts"]["seen"] for mount in mounts)
    assert checks["hostname"]["seen"].startswith("mbr")
    assert "de_DE" in checks["locale"]["seen"]
