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


def phase(said: str, name: str, before: str = "") -> str:
    """The line that the phase ended with."""
    line = re.compile(rf"{re.escape(before)}\[ ?\d+/11\] {name} +[\d.]+ s")
    return next(one for one in said.splitlines() if line.match(one))


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

    kept = max((own_cache / "bases").glob("*.tar.*"), key=lambda path: path.stat().st_size)
    with kept.open("r+b") as file:
        file.seek(kept.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    said = build(folder, manifest(folder, motd="after the flip"))
    assert "reused, made" in phase(said, "os_installation")
    assert phase(said, "package_installation").endswith("made, the kept tree was damaged")
    assert motd(folder) == "after the flip\n"


def test_after_a_failure_the_next_try_begins_where_the_packages_are(folder: Path) -> None:
    trouble = {"trouble": {"phase": "system_modification", "way": "fail"}}
    path = plays.write_manifest(folder, "again", trouble, packages={"install": ["less"]})
    done = plays.run("build-image", folder, manifest=path, **KERNEL)
    assert done.returncode != 0 and "differs from before: packages +less" in done.stdout, done.stdout
    said = build(folder, plays.write_manifest(folder, "again", {}, packages={"install": ["less"]}))
    assert "reused, made" in phase(said, "package_installation")


def test_images_built_at_once_share_what_they_have_in_common(folder: Path) -> None:
    shutil.rmtree(folder / "cache", ignore_errors=True)
    names = ("left", "right")
    paths = [plays.write_manifest(folder, name, {}) for name in names]
    options = ["--", "-e", "image_kernel=false", "-e", f"image_build_dir={folder}/several"]
    argv = [plays.ROOT / "scripts/images", *paths, *options]
    done = subprocess.run(argv, text=True, capture_output=True, env=plays.environment(folder), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for step in ("os_installation", "package_installation"):
        said = [phase(done.stdout, step, f"{name} | ") for name in names]
        assert sorted("made, not kept" in line for line in said) == [False, True], done.stdout
    assert {path.name for path in (folder / "several").iterdir()} == set(names)


def test_several_images_that_are_stopped_leave_nothing(folder: Path) -> None:
    trouble = {"trouble": {"phase": "system_modification", "way": "wait"}}
    paths = [plays.write_manifest(folder, name, trouble) for name in ("stopped-left", "stopped-right")]
    options = ["--", "-e", "image_kernel=false", "-e", f"image_build_dir={folder}/build"]
    with (folder / "images.log").open("w") as log:
        argv = [plays.ROOT / "scripts/images", *paths, *options]
        both = subprocess.Popen(argv, stdout=log, stderr=log, env=plays.environment(folder))
    try:
        logs = list(folder.glob("build/.stopped-*/build.log"))
        plays.wait_for(lambda: waiting(folder) == 2 or both.poll() is not None, f"both builds to wait: {logs}")
        both.terminate()
        assert both.wait(plays.PATIENCE) == 130, (folder / "images.log").read_text()
    finally:
        both.kill()
    for name in ("stopped-left", "stopped-right"):
        plays.wait_for(lambda name=name: plays.traces(name, folder) == plays.Traces(), f"{name} to be gone")


def waiting(folder: Path) -> int:
    return sum("+ sh -c 'sleep 3600" in log.read_text() for log in folder.glob("build/.stopped-*/build.log"))
