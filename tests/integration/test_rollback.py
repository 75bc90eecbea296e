# SPDX-License-Identifier: GPL-3.0-or-later
"""A build that fails, is interrupted or killed leaves nothing behind, and what was built before as it was."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import plays
import pytest
from plays import Traces, traces, wait_for

from debfleet.common.phases import PHASES

pytestmark = [pytest.mark.slow, pytest.mark.root]

IN_TREE = ("package_installation", "system_modification", "system_cleaning")


KEPT = {"tarball": True}  # the bootstrap is kept from the first build on, so that the others take seconds


def work(folder: Path) -> Path | None:
    """The work folder of the build that runs in this folder."""
    return next(iter((folder / "build").glob(".*-*")), None) if (folder / "build").exists() else None


def log_says(folder: Path, words: str) -> bool:
    there = work(folder)
    log = there / "build.log" if there else None
    return bool(log and log.exists() and words in log.read_text(errors="replace"))


def keep_an_image(folder: Path, name: str) -> None:
    """An image of an earlier build, which no failure may touch."""
    (folder / "build" / name).mkdir(parents=True)
    (folder / "build" / name / "disk.raw").write_text("the old one")
    (folder / "build" / name / "metadata.json").write_text("{}")  # what tells a build's folder from any other


def assert_nothing_happened(folder: Path, name: str) -> None:
    assert traces(name, folder) == Traces()
    assert (folder / "build" / name / "disk.raw").read_text() == "the old one"
    assert {path.name for path in (folder / "build").iterdir()} <= {name, f"{name}.failed.log"}


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
    play = plays.start("build-image", tmp_path, manifest=manifest, image_kernel="false")
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
    """The Python processes that run a module of this build."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "environ").read_bytes()
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"DEBFLEET_BUILD=" in told and name.encode() in told and any(b"AnsiballZ" in word for word in words):
                found.append(int(entry.name))
    assert found
    return found


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
