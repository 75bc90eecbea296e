# SPDX-License-Identifier: GPL-3.0-or-later
"""Every bootloader, firmware, map and root filesystem together: built by the playbook and booted to a login by SSH.

It takes hours; `make test-builder-full` runs it, and nothing else does: its name is none that pytest collects.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml

from debfleet.common.bootloader import BOOTLOADERS
from debfleet.common.disk import combinations
from debfleet.common.disk.combinations import Combination

pytestmark = [pytest.mark.slow, pytest.mark.root]
TESTED = [what for what in combinations.tested() if what.bootloader in BOOTLOADERS]


def manifest(what: Combination) -> dict[str, Any]:
    """An image that grows at its first boot, on an MBR by expand_root and elsewhere by cloud-init alone."""
    grow: dict[str, Any] = {"expand_root": {}} if what.map == "msdos" else {}
    boot = {"boot": {"size": "384MiB", "filesystem": what.boot}} if what.boot else {}
    return {
        "name": str(what),
        "provider": {"name": "kvm"},
        "system": {
            "release": "trixie",
            "architecture": "amd64",
            "bootloader": what.bootloader,
            "firmware": what.firmware,
        },
        "volume": {
            "backing": "raw",
            "partitions": {"type": what.map, **boot, "root": {"size": "1536MiB", "filesystem": what.root}},
        },
        "plugins": {"cloud_init": {"username": "debian"}, **grow},
    }


@pytest.mark.parametrize("what", TESTED, ids=str)
def test_it_builds_and_boots(what: Combination, tmp_path: Path) -> None:
    path = tmp_path / "manifest.yml"
    path.write_text(yaml.safe_dump(manifest(what), sort_keys=False))
    done = plays.run("build-image", tmp_path, manifest=path, prove="true")
    assert done.returncode == 0, done.stdout
    folder = tmp_path / "build" / str(what)
    proof = json.loads((folder / "proof.json").read_text())
    shutil.rmtree(folder)  # a gigabyte each
    for boot in proof["boots"]:
        checks = {check["name"]: check for check in boot["checks"]}
        assert all(check["ok"] for check in checks.values()), checks
        assert f"/ {what.root}" in checks["mounts"]["seen"], checks["mounts"]
        assert "root grown" in checks
