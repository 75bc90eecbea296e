# SPDX-License-Identifier: GPL-3.0-or-later
"""extlinux on an MBR with boot, swap and nested partitions: each of its filesystem, at its place in the machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import plays
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.root]
MANIFEST = "kvm-amd64-extlinux"
MOUNTS = {"/": "xfs", "/boot": "ext2", "/var": "btrfs", "/var/tmp": "ext4"}


def test_it_boots_with_every_partition_in_its_place(built: Callable[..., Path]) -> None:
    folder = built(MANIFEST)
    layout = json.loads((folder / "metadata.json").read_text())["layout"]
    assert {part["mount"]: part["filesystem"] for part in layout["partitions"] if part["mount"]} == MOUNTS
    done = plays.run("boot-image", folder.parent, image=folder)
    assert done.returncode == 0, done.stdout
    proof = json.loads((folder / "proof.json").read_text())
    checks = {check["name"]: check for check in proof["checks"]}
    assert all(check["ok"] for check in checks.values()), checks
    assert all(f"{mount} {kind}" in checks["mounts"]["seen"] for mount, kind in MOUNTS.items())
    assert checks["hostname"]["seen"].startswith("extlinux")
    assert "de_DE" in checks["locale"]["seen"]
