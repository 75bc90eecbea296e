# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell where a build failed, as somebody at a terminal has it; and none where nobody sits at one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import plays
import pytest
from plays import Traces, traces
from rollback import KEPT
from terminals import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.root]
EXTRA = {"image_kernel": "false", "on_error": "shell"}


def build(folder: Path, name: str, phase: str) -> Terminal:
    manifest = plays.write_manifest(folder, name, {"trouble": {"phase": phase, "way": "fail"}}, bootstrapper=KEPT)
    return Terminal(plays.command("build-image", manifest=manifest, **EXTRA), folder, plays.environment(folder))


def test_a_shell_in_the_tree_before_the_rollback(tmp_path: Path) -> None:
    terminal = build(tmp_path, "shell-in", "system_modification")
    told = terminal.until("goes on with the rollback")
    assert "FAILED  system_modification: Make the changes they asked for" in told
    assert "last words of system_modification" in told.partition("the log's last lines:")[2]
    assert "sh -c 'echo last words of system_modification >&2; exit 3'" in told
    prompt = "(system_modification) /# "
    terminal.until(prompt)
    terminal.type("rerun; echo code=$? $DEBIAN_FRONTEND $(cat /etc/debian_version)\n")
    terminal.until("echo code=")  # as it was typed
    assert "last words of system_modification" in terminal.until("code=3 noninteractive 12.")
    terminal.until(prompt)
    terminal.type("sh -c \"echo u''p; exec sleep 3600\"\n")
    terminal.until("up")
    terminal.type("\x03")  # for the sleep, neither for the shell nor for the play
    terminal.until(prompt)
    terminal.type("sleep 3600 & touch /left; exit 0\n")
    terminal.until("going on with the rollback")
    assert terminal.end() == 2, terminal.said
    assert "failed after" in terminal.said
    assert terminal.said.count("FAILED ") == 1
    assert traces("shell-in", tmp_path) == Traces()
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["shell-in.failed.log"]


@pytest.mark.parametrize("way", ["left", "killed"])
def test_outside_of_a_tree_that_is_not_there_yet(tmp_path: Path, way: str) -> None:
    name = f"shell-{way}"
    terminal = build(tmp_path, name, "preparation")
    assert "rerun" not in terminal.until("outside of the image's tree")
    terminal.until("(preparation) ")
    terminal.type("ls\n")
    terminal.until("build.log")
    if way == "left":
        terminal.type("exit\n")
        assert terminal.end() == 2, terminal.said
    else:
        os.kill(terminal.pid, signal.SIGKILL)
        assert terminal.end() == -signal.SIGKILL
        plays.wait_for(lambda: traces(name, tmp_path) == Traces(), "the reaper")
    assert traces(name, tmp_path) == Traces()


def test_without_a_terminal_it_is_ignored_with_a_sentence(tmp_path: Path) -> None:
    manifest = plays.write_manifest(tmp_path, "no-terminal", {"trouble": {"phase": "preparation", "way": "fail"}})
    done = plays.run("build-image", tmp_path, manifest=manifest, **EXTRA)
    assert done.returncode == 2
    assert "on_error=shell is ignored: this play has no terminal" in done.stdout
    assert "log's last lines" not in done.stdout
    assert traces("no-terminal", tmp_path) == Traces()


def test_another_word_is_refused(tmp_path: Path) -> None:
    manifest = plays.write_manifest(tmp_path, "word", {})
    done = plays.run("build-image", tmp_path, manifest=manifest, on_error="nonsense")
    assert done.returncode == 2
    assert "on_error is rollback or shell, not nonsense" in done.stdout
    assert not (tmp_path / "build").exists()
