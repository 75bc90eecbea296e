# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole images, with kernel, bootloader and plugins, built twice: cold, and then elsewhere and warm.

`make test-reproducible` runs it, and nothing else does: its name is none that pytest collects.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml
from twice import differing, elsewhere

pytestmark = [pytest.mark.slow, pytest.mark.root]
EXT4 = {"volume": {"partitions": {"root": {"filesystem": "ext4", "mountopts": []}}}}
MANIFESTS: dict[str, dict[str, Any]] = {  # each with what it has otherwise here
    "kvm-amd64": {},
    "kvm-amd64-mbr": {"volume": {"backing": "vmdk"}},
    "kvm-amd64-plugins": {},
    "kvm-amd64-systemd-boot": EXT4,
}
DAY = 86400


@pytest.mark.parametrize("cache", ["true", "off"])
@pytest.mark.parametrize("name", MANIFESTS)
def test_the_same_again(name: str, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBFLEET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(time.time()) // DAY * DAY - 30 * DAY))
    path, found = tmp_path / f"{name}.yml", []
    path.write_text(yaml.safe_dump({"extends": str(plays.ROOT / "manifests" / path.name), **MANIFESTS[name]}))
    here, there = tmp_path / "here", tmp_path / "far/away/there"
    for folder in (here, there):
        folder.mkdir(parents=True)
        if folder == here:
            done = plays.run("build-image", folder, manifest=path, cache=cache)
        else:
            done = elsewhere(folder, path, cache=cache)
        assert done.returncode == 0, done.stdout
        (metadata,) = folder.glob("build/*/metadata.json")
        told = json.loads(metadata.read_text())
        found.append((told["sha256"], metadata.with_name(told["file"])))
    assert found[0][0] == found[1][0], differing(found[0][1], found[1][1])
    assert os.listdir(here / "build") == os.listdir(there / "build")
