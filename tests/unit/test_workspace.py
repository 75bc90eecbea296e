# SPDX-License-Identifier: GPL-3.0-or-later
"""The work folder of a build, its ledger, and the reaper that outlives the build."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from debfleet.common import ledger, workspace
from debfleet.common.errors import MissingError
from debfleet.common.journal import LOG
from debfleet.common.ledger import Ledger
from debfleet.common.process import Process, end_marked, marked
from debfleet.common.workspace import MARK, PUBLISHED, Workspace

PATIENCE = 60
PROGRAM = """
import os, subprocess, sys, time
from pathlib import Path
from debfleet.common import ledger, workspace
ledger.state_folder = lambda: Path(sys.argv[1]) / "state"
workspace.MEMORY = Path(sys.argv[1])
space = workspace.Workspace("b1", Path(sys.argv[1]) / "work", Path(sys.argv[1]) / "b1.failed.log")
space.present(os.getpid())
(space.work / "build.log").write_text("what happened")
space.tree(1)
subprocess.Popen(["sleep", "600"], env={**os.environ, "DEBFLEET_BUILD": str(space.work)})
(Path(sys.argv[1]) / "ready").touch()
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ledger, "state_folder", lambda: tmp_path / "state")
    monkeypatch.setattr(workspace, "MEMORY", tmp_path)


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def space(tmp_path: Path) -> Workspace:
    return Workspace("b1", tmp_path / "work", tmp_path / "b1.failed.log")


def test_a_build_that_ends_well_leaves_nothing(tmp_path: Path) -> None:
    ours = space(tmp_path)
    ours.present(os.getpid())
    root = ours.tree(1)
    assert root.is_dir()
    assert ours.work.stat().st_mode & 0o777 == 0o700
    (ours.work / LOG).write_text("all well")
    (ours.work / PUBLISHED).touch()
    ours.absent()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]
    assert list((tmp_path / "state/ledgers").iterdir()) == []


def test_the_log_of_a_build_that_failed_is_kept_and_goes_with_the_next_success(tmp_path: Path) -> None:
    ours = space(tmp_path)
    ours.present(os.getpid())
    (ours.work / LOG).write_text("what happened")
    (ours.work / LOG).chmod(0o600)
    ours.absent()
    assert ours.failed_log.stat().st_mode & 0o777 == 0o600
    assert ours.failed_log.read_text() == "what happened"
    ours.present(os.getpid())
    (ours.work / PUBLISHED).touch()
    ours.absent()
    assert not ours.failed_log.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_reaper_releases_what_a_killed_build_held(tmp_path: Path, number: signal.Signals) -> None:
    owner = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "ready").exists)
    mark = f"{MARK}={tmp_path / 'work'}"
    assert marked(mark)
    owner.send_signal(number)
    owner.wait(PATIENCE)
    wait_for(lambda: not list((tmp_path / "state/ledgers").iterdir()))
    wait_for(lambda: not marked(mark))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b1.failed.log", "ready", "state"]


def test_the_next_start_heals_what_even_the_reaper_could_not_and_spares_a_running_build(tmp_path: Path) -> None:
    for name, owner in (("dead", Process(os.getpid(), 1)), ("alive", Process.of(os.getpid()))):
        (tmp_path / name).mkdir()
        Ledger.open(name, owner).add("folder", path=str(tmp_path / name))
    assert ledger.heal() == ["released what dead had left behind"]
    assert not (tmp_path / "dead").exists()
    assert (tmp_path / "alive").exists()


def test_a_pid_used_again_is_another_process() -> None:
    ours = Process.of(os.getpid())
    assert ours.alive()
    assert not Process(ours.pid, ours.start + 1).alive()
    assert not Process.of(2**22 + 1).alive()


def test_a_ledger_keeps_its_order_and_refuses_unknown_kinds(tmp_path: Path) -> None:
    ours = Ledger.open("x", Process.of(os.getpid()))
    first = ours.add("folder", path=str(tmp_path / "a"))
    ours.add("file", path=str(tmp_path / "b"))
    with pytest.raises(ValueError, match="a ledger holds folder"):
        ours.add("mount", path="/")
    ours.drop(first)
    assert [entry["kind"] for entry in json.loads(ours.path.read_text())["held"]] == ["file"]


def test_what_cannot_be_released_stays_in_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Ledger.open("x", Process.of(os.getpid()))
    (tmp_path / "a").mkdir()
    ours.add("folder", path=str(tmp_path / "a"))

    def stuck(entry: dict[str, str]) -> None:
        raise OSError("busy")

    monkeypatch.setitem(ledger.RELEASE, "folder", stuck)
    assert ours.release() == [f"folder {tmp_path / 'a'}: busy"]
    assert ours.path.exists()


def test_processes_that_do_not_heed_sigterm_are_killed(tmp_path: Path) -> None:
    mark = f"{MARK}={tmp_path}"
    stubborn = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(600)",
        ],
        env={**os.environ, MARK: str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    end_marked(mark)
    assert stubborn.wait(PATIENCE) == -signal.SIGKILL


def test_a_tree_that_fits_nowhere_is_refused_with_what_to_do(tmp_path: Path) -> None:
    ours = space(tmp_path)
    ours.present(os.getpid())
    with pytest.raises(Exception, match="there is no room for a tree"):
        ours.tree(1 << 60)
    ours.absent()


@pytest.mark.root
def test_a_folder_with_something_mounted_in_it_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "held/in it").mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    ours = Ledger.open("x", Process.of(os.getpid()))
    ours.add("folder", path=str(tmp_path / "held"))
    subprocess.run(["mount", "--bind", precious, tmp_path / "held/in it"], check=True)
    try:
        assert ours.release() == [f"folder {tmp_path}/held: something is mounted in it: {tmp_path}/held/in it"]
    finally:
        subprocess.run(["umount", tmp_path / "held/in it"], check=True)
    assert (precious / "file").exists()
    assert ours.release() == []
    assert not (tmp_path / "held").exists()


def test_a_tree_that_must_be_in_memory_and_does_not_fit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = space(tmp_path)
    ours.present(os.getpid())
    monkeypatch.setattr(workspace, "memory_free", lambda: workspace.RESERVE + 1600)
    with pytest.raises(MissingError, match="does not fit into memory") as caught:
        ours.tree(1000, in_memory=True)
    assert caught.value.where == "plugins.tmpfs_workspace"
    assert ours.tree(1000) == ours.work / "root"
    ours.absent()
    ours.present(os.getpid())
    assert ours.tree(999, in_memory=True).parent.parent == tmp_path
    ours.absent()
