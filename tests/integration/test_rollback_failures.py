# SPDX-License-Identifier: GPL-3.0-or-later
"""A build that fails in any phase says where and why, and leaves nothing behind but its log."""

from __future__ import annotations

import subprocess
from pathlib import Path

import plays
import pytest
from plays import Traces, traces
from rollback import IN_TREE, KEPT, assert_nothing_happened, keep_an_image

from debfleet.common.phases import PHASES

pytestmark = [pytest.mark.slow, pytest.mark.root]


@pytest.mark.parametrize("phase", PHASES)
def test_a_failure_in_each_phase_is_told_and_leaves_nothing(tmp_path: Path, phase: str) -> None:
    name = f"fail-{phase.replace('_', '-')}"
    manifest = plays.write_manifest(tmp_path, name, {"trouble": {"phase": phase, "way": "fail"}}, bootstrapper=KEPT)
    if phase != "cleaning":
        keep_an_image(tmp_path, name)
    done = plays.run("build-image", tmp_path, manifest=manifest, image_kernel="false")
    assert done.returncode != 0, done.stdout
    assert f"FAILED  {phase}:" in done.stdout
    if phase in IN_TREE:
        assert f"last words of {phase}" in done.stdout
        assert "plugin_trouble: Fail inside the tree" in done.stdout
        assert f"last words of {phase}" in (tmp_path / "build" / f"{name}.failed.log").read_text()
    else:
        assert f"trouble in {phase}" in done.stdout
    if phase == "cleaning":  # by then the image stands in its place
        assert traces(name, tmp_path) == Traces()
        assert (tmp_path / "build" / name / "metadata.json").exists()
    elif phase == "image_registration":
        assert traces(name, tmp_path) == Traces()
    else:
        assert_nothing_happened(tmp_path, name)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    name = "full-disk"
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(small)], check=True)
    try:
        manifest = plays.write_manifest(tmp_path, name, {}, bootstrapper={"workspace": str(small), **KEPT})
        keep_an_image(tmp_path, name)
        done = plays.run("build-image", tmp_path, manifest=manifest, image_kernel="false")
        assert done.returncode != 0
        assert "No space left on device" in done.stdout or "no room" in done.stdout, done.stdout
        assert list(small.iterdir()) == []
        assert_nothing_happened(tmp_path, name)
    finally:
        subprocess.run(["umount", str(small)], check=True)
