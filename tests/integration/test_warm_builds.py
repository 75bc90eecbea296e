# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build takes from an earlier one: the tree where only a setting changed, everything where nothing did."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.root]
KERNEL = {"image_kernel": "false"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("warm")


@pytest.fixture(autouse=True)
def own_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEBFLEET_CACHE", str(folder / "cache"))
    return folder / "cache"


def manifest(folder: Path, name: str = "warm", motd: str = "hello") -> Path:
    (folder / "motd").write_text(f"{motd}\n")
    files = {"files": [{"src": str(folder / "motd"), "dst": "/etc/motd"}]}
    written = plays.write_manifest(folder, "warm", {"file_copy": files})
    text: dict[str, Any] = yaml.safe_load(written.read_text())
    written.write_text(yaml.safe_dump({**text, "name": name}))
    return written


def build(folder: Path, path: Path, **extra: str) -> str:
    done = plays.run("build-image", folder, manifest=path, **KERNEL, **extra)
    assert done.returncode == 0, done.stdout
    return done.stdout


def motd(folder: Path, name: str = "warm") -> str:
    disk = folder / "build" / name / "disk.raw"
    return subprocess.run(["debugfs", "-R", "cat /etc/motd", disk], text=True, capture_output=True, check=True).stdout


def phase(said: str, name: str) -> str:
    """The line that the phase ended with."""
    return next(line for line in said.splitlines() if re.match(rf"\[ ?\d+/11\] {name} +[\d.]+ s", line))


def test_from_cold_to_warm_to_unchanged(folder: Path, own_cache: Path) -> None:
    said = build(folder, manifest(folder))
    assert phase(said, "os_installation").endswith("made, not kept before")
    assert motd(folder) == "hello\n"
    first = json.loads((folder / "build/warm/packages.json").read_text())["packages"]

    said = build(folder, manifest(folder))
    assert f"nothing has changed since {folder}/build/warm was built" in said
    assert "os_installation" not in said

    said = build(folder, manifest(folder, motd="changed"))
    assert "built anew, changed: manifest's files" in said
    assert "reused, made" in phase(said, "os_installation")
    assert "reused, made" in phase(said, "package_installation")
    assert motd(folder) == "changed\n"
    assert json.loads((folder / "build/warm/packages.json").read_text())["packages"] == first

    said = build(folder, manifest(folder, motd="changed"), rebuild="true")
    assert "reused, made" in phase(said, "os_installation")

    said = build(folder, manifest(folder, name="warm-{%Y}{%m}{%d}", motd="changed"))
    assert f"nothing has changed since {folder}/build/warm was built" in said

    # a bit flipped in what is kept
    for kept in (own_cache / "bases").glob("*.tar.*"):
        with kept.open("r+b") as file:
            file.seek(kept.stat().st_size // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
    said = build(folder, manifest(folder, motd="after the flip"))
    assert phase(said, "os_installation").endswith("made, the kept tree was damaged")
    assert motd(folder) == "after the flip\n"

    said = build(folder, manifest(folder, motd="off"), cache="off")
    assert "reused" not in said and motd(folder) == "off\n"


def test_after_a_failure_the_next_try_begins_where_the_packages_are(folder: Path) -> None:
    trouble = {"trouble": {"phase": "system_modification", "way": "fail"}}
    path = plays.write_manifest(folder, "again", trouble, packages={"install": ["less"]})
    done = plays.run("build-image", folder, manifest=path, **KERNEL)
    assert done.returncode != 0 and "differs from before: packages +less" in done.stdout, done.stdout
    said = build(folder, plays.write_manifest(folder, "again", {}, packages={"install": ["less"]}))
    assert "reused, made" in phase(said, "package_installation")


def test_two_builds_at_once_share_one_bootstrap(folder: Path) -> None:
    shutil.rmtree(folder / "cache")
    running = []
    for name in ("left", "right"):
        (folder / name).mkdir()
        path = plays.write_manifest(folder / name, name, {})
        running.append((folder / name, plays.start("build-image", folder / name, manifest=path, **KERNEL)))
    said = []
    for place, play in running:
        assert play.wait(plays.PATIENCE) == 0, (place / "play.log").read_text()
        said.append((place / "play.log").read_text())
    for step in ("os_installation", "package_installation"):
        assert sorted("made, not kept" in phase(one, step) for one in said) == [False, True], said
