# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds that give the very same image, in other places, of other habits, cold and warm, from a mirror that has moved
on; and one that can't.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import plays
import pytest
from local_repository import Repository, make_deb
from twice import differing, elsewhere

from debfleet.common.folder.metadata import sha256

pytestmark = [pytest.mark.slow, pytest.mark.root]
NAME = "same-again"


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path / "repository")
    made.make_key()
    yield made
    made.stop()


def manifest(folder: Path, repository: Repository) -> Path:
    folder.mkdir(parents=True)
    packages = {
        "install": ["fleet-tool", "python3-minimal"],
        "sources": {"fleet": [f"deb {repository.uri} one main"]},
        "trusted-keys": [str(repository.key)],
    }
    plugins = {
        "root_password": {"password": "correct horse"},
        "admin_user": {"username": "ada", "password": "battery staple"},
        "build_metadata": {},
    }
    return plays.write_manifest(folder, NAME, plugins, packages=packages, reproducible=True)


def test_the_same_again(tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBFLEET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    old, new = (make_deb(tmp_path, "fleet-tool", version) for version in ("1.0", "2.0"))
    repository.publish("one", [old])
    here, there = tmp_path / "here", tmp_path / "far/away/there"
    done = plays.run("build-image", here, manifest=manifest(here, repository), image_kernel="false")
    assert done.returncode == 0, done.stdout
    image = here / "build" / NAME
    listed = json.loads((image / "packages.json").read_text())
    assert listed["source_date_epoch"] > 0
    wanted = sha256(image / "disk.raw")

    repository.publish("one", [old, new])
    path, lock = manifest(there, repository), image / "packages.json"
    for kept in ("made, ", "reused, made "):
        done = elsewhere(there, path, image_kernel="false", locked=str(lock), rebuild="true")
        assert done.returncode == 0, done.stdout
        assert re.search(rf"package_installation +[\d.]+ s  {kept}", done.stdout), done.stdout
        other = there / "build" / NAME
        assert sha256(other / "disk.raw") == wanted, differing(image / "disk.raw", other / "disk.raw")
        assert json.loads((other / "packages.json").read_text()) == listed
    subprocess.run(["e2fsck", "-fn", other / "disk.raw"], check=True, capture_output=True)

    repository.publish("one", [new])
    done = elsewhere(there, path, image_kernel="false", locked=str(lock), rebuild="true")
    assert done.returncode != 0
    assert "fleet-tool: 1.0 wanted, 2.0 found" in done.stdout, done.stdout
    assert "volume_creation" not in done.stdout
    assert sha256(other / "disk.raw") == wanted
    assert [name for name in os.listdir(there / "build") if name != NAME] == [f"{NAME}.failed.log"]
