# SPDX-License-Identifier: GPL-3.0-or-later
"""A build that is interrupted or killed, at any moment, leaves nothing behind, and a build beside it runs on."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import plays
import pytest
from plays import Traces, traces, wait_for
from rollback import KEPT, assert_nothing_happened, keep_an_image, log_says

pytestmark = [pytest.mark.slow, pytest.mark.root]

WAITING = [
    ("os_installation", signal.SIGTERM),
    ("package_installation", signal.SIGINT),
    ("system_modification", signal.SIGKILL),
    ("system_cleaning", signal.SIGTERM),
    ("volume_unmounting", signal.SIGKILL),
]


@pytest.mark.parametrize(("phase", "number"), WAITING)
def test_a_killed_play_leaves_nothing(tmp_path: Path, phase: str, number: signal.Signals) -> None:
    name = f"kill-{phase.replace('_', '-')}"
    early = phase == "os_installation"
    manifest = plays.write_manifest(
        tmp_path,
        name,
        {"trouble": {"phase": phase, "way": "wait"}},
        bootstrapper={} if early else KEPT,
    )
    keep_an_image(tmp_path, name)
    cold = {"cache": "off"} if early else {}
    play = plays.start("build-image", tmp_path, manifest=manifest, image_kernel="false", **cold)
    try:
        waited = "mmdebstrap" if early else "+ sh -c 'sleep 3600 & sleep 3600'"
        wait_for(lambda: log_says(tmp_path, waited) or play.poll() is not None, f"{phase} to begin")
        assert play.poll() is None, (tmp_path / "play.log").read_text()
        assert traces(name, tmp_path) != Traces()
        os.kill(play.pid, number)
        play.wait(plays.PATIENCE)
        wait_for(lambda: traces(name, tmp_path) == Traces(), f"nothing to be left: {traces(name, tmp_path)}")
        assert_nothing_happened(tmp_path, name)
        if number == signal.SIGINT:
            told = (tmp_path / "play.log").read_text()
            assert f"INTERRUPTED  {phase}:" in told
            assert "while: sh -c 'sleep 3600 & sleep 3600'" in told
            assert f"{name}.failed.log" in told
    finally:
        play.kill()
        play.wait()


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A build that waits inside its tree."""
    folder = tmp_path / "beside"
    folder.mkdir()
    manifest = plays.write_manifest(
        folder,
        "beside",
        {"trouble": {"phase": "system_modification", "way": "wait"}},
        bootstrapper=KEPT,
    )
    play = plays.start("build-image", folder, manifest=manifest, image_kernel="false")
    wait_for(lambda: log_says(folder, "+ sh -c 'sleep 3600") or play.poll() is not None, "the build beside")
    assert play.poll() is None, (folder / "play.log").read_text()
    yield folder, play
    play.terminate()
    play.wait(plays.PATIENCE)
    wait_for(lambda: traces("beside", folder) == Traces(), "the build beside to be gone")


def test_a_killed_module_fails_the_build_and_a_build_beside_it_runs_on(
    tmp_path: Path, waiting: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    beside, other = waiting
    name = "kill-module"
    manifest = plays.write_manifest(
        tmp_path,
        name,
        {"trouble": {"phase": "package_installation", "way": "wait"}},
        bootstrapper=KEPT,
    )
    keep_an_image(tmp_path, name)
    play = plays.start("build-image", tmp_path, manifest=manifest, image_kernel="false")
    try:
        wait_for(lambda: log_says(tmp_path, "+ sh -c 'sleep 3600") or play.poll() is not None, "the build")
        assert play.poll() is None, (tmp_path / "play.log").read_text()
        for pid in modules(name):
            os.kill(pid, signal.SIGKILL)
        assert play.wait(plays.PATIENCE) != 0
        assert_nothing_happened(tmp_path, name)
    finally:
        play.kill()
        play.wait()
    assert other.poll() is None
    assert traces("beside", beside).processes


def modules(name: str) -> list[int]:
    """The processes that run a module of this build: forks of the play's worker, named after the module."""
    names = {path.stem[:15] for path in (plays.ROOT / "library").glob("*.py")}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
                module = (entry / "comm").read_text().strip() in names
            except OSError:
                continue
            if module and f"/{name}.yml".encode() in words:
                found.append(int(entry.name))
    assert found
    return found
