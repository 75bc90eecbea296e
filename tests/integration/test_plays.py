# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks as a user runs them: from any folder, only to plan, only to check, with what he got wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import plays
import pytest
from plays import Traces, traces

pytestmark = [pytest.mark.slow, pytest.mark.root]


def test_the_plan_shows_phases_disk_and_packages_and_builds_nothing(tmp_path: Path) -> None:
    done = plays.run("plan-image", tmp_path, manifest=plays.ROOT / "manifests/kvm-amd64.yml")
    assert done.returncode == 0, done.stdout
    assert "10 image_registration" in done.stdout
    assert "plugin_cloud_init   Install cloud-init" in done.stdout
    assert "GPT, 2 GiB" in done.stdout
    assert "linux-image-cloud-amd64" in done.stdout
    assert " to download, " in done.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {".ansible"}


def test_a_play_runs_from_its_own_folder_without_settings(tmp_path: Path) -> None:
    manifest = plays.write_manifest(tmp_path, "own-folder", {})
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "plan-image.yml", "-e", f"manifest={manifest}"],
        cwd=plays.ROOT / "playbooks",
        env={**variables, "ANSIBLE_HOME": str(tmp_path / ".ansible")},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no map, 1 GiB" in done.stdout.lower() or "1 GiB" in done.stdout


def test_everything_wrong_with_a_manifest_is_told_before_anything_is_touched(tmp_path: Path) -> None:
    manifest = plays.write_manifest(tmp_path, "wrong", {"admin_usr": {"username": "ann"}}, sytem={})
    done = plays.run("build-image", tmp_path, manifest=manifest)
    assert done.returncode != 0
    assert "sytem" in done.stdout
    assert "did you mean" in done.stdout.lower()
    assert "admin_usr" in done.stdout
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "name a manifest: -e manifest=FILE"),
        (("--tags", "nothing"), "leave --tags out"),
        (("-e", "image_build=x", "-e", "phase=y"), "image_build and phase: leave it out of -e"),
    ],
)
def test_what_cannot_be_a_build_is_refused(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    done = plays.run("build-image", tmp_path, *words)
    assert done.returncode != 0 and told in done.stdout


def test_packages_that_are_not_there_are_named_before_a_volume_exists(tmp_path: Path) -> None:
    install = ["no-such-package-here", "bash=0.0-never"]
    manifest = plays.write_manifest(tmp_path, "unknown", {}, packages={"install": install})
    done = plays.run("build-image", tmp_path, manifest=manifest)
    assert done.returncode != 0
    assert "FAILED  preparation:" in done.stdout
    assert "no-such-package-here" in done.stdout
    assert "0.0-never" in done.stdout
    assert traces("unknown", tmp_path) == Traces()


def test_a_check_shows_every_change_and_makes_none(tmp_path: Path) -> None:
    plugins = {"commands": {"commands": [["touch", "/made-by-a-command"]]}}
    manifest = plays.write_manifest(tmp_path, "checked", plugins)
    done = plays.run("build-image", tmp_path, "--check", "--diff", manifest=manifest, image_kernel="false")
    assert done.returncode == 0, done.stdout
    assert "/made-by-a-command" in done.stdout
    assert "90-dhcp.network" in done.stdout
    assert not (tmp_path / "build").exists()


def test_a_plugin_from_elsewhere_runs_ordinary_modules_inside_the_tree(tmp_path: Path) -> None:
    manifest = plays.write_manifest(
        tmp_path, "ordinary", {"ordinary": {"greeting": "good day"}}, bootstrapper={"tarball": True}
    )
    done = plays.run("build-image", tmp_path, manifest=manifest, image_kernel="false")
    assert done.returncode == 0, done.stdout
    disk = tmp_path / "build/ordinary/disk.raw"

    def inside(request: str) -> str:
        return subprocess.run(["debugfs", "-R", request, disk], text=True, capture_output=True, check=True).stdout

    assert inside("cat /etc/greeting") == "good day\n"
    assert inside("cat /etc/answer") == "42\n"
    stat = inside("stat /etc/greeting")
    assert "Mode:  0640" in stat
    assert "User:     1 " in stat
    assert traces("ordinary", tmp_path) == Traces()
