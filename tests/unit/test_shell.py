# SPDX-License-Identifier: GPL-3.0-or-later
"""Shells for people: taking a command line apart, running one with our streams, when a shell is opened at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from debfleet.cli.image import split
from debfleet.common import journal
from debfleet.common.namespace import ENTER, INIT, UNSHARE, apart
from debfleet.common.process import Process
from debfleet.common.run import CommandError, run
from debfleet.common.shell import failed, terminal
from debfleet.controller import failure

IN_TREE = [*UNSHARE, "--mount-proc", "--", "sh", "-c", INIT, "sh", "/root", "/host/archives", "/var/cache", "--"]


@pytest.mark.parametrize(
    ("place", "inside"),
    [
        ([], False),
        (apart([]), False),
        (IN_TREE, False),
        ([*IN_TREE, "env", "-i", "A=1", "B="], False),
        ([*IN_TREE, "sh", "-c", ENTER, "sh", "/root", "/usr/bin/env", "-i", "A=b c"], True),
    ],
)
def test_a_command_line_is_parted(place: list[str], inside: bool) -> None:
    command = ["apt-get", "-oX=1", "install", "--", "sh"]
    assert failed.parted([*place, *command]) == (place, command, inside)


def test_what_is_gone_is_not_bound(tmp_path: Path) -> None:
    words = IN_TREE.index("/host/archives")
    lost = [*IN_TREE[:words], *IN_TREE[words + 2 :]]
    assert failed.without_lost_binds(IN_TREE) == lost
    there = [*IN_TREE[:words], str(tmp_path), "/mnt", *IN_TREE[words + 2 :]]
    assert failed.without_lost_binds(there) == there
    assert failed.without_lost_binds(apart(["true"])) == apart(["true"])


def test_a_failed_command_is_kept_without_its_secrets(tmp_path: Path) -> None:
    with journal.writing(tmp_path, ["hush"]), pytest.raises(CommandError) as caught:
        run(["sh", "-c", "cat >&2; exit 3"], stdin="say hush", env={"WORD": "hush"}, cwd=tmp_path)
    note = tmp_path / journal.FAILED
    assert "hush" not in note.read_text()
    assert note.stat().st_mode & 0o777 == 0o600
    command = failed.failed_command(tmp_path, f"could not do it\n{caught.value}")
    assert command is not None
    assert (command.place, command.argv, command.inside) == ([], ["sh", "-c", "cat >&2; exit 3"], False)
    assert command.env == {"WORD": journal.MASK}
    again = subprocess.run(["bash", "-c", command.line()], capture_output=True, text=True)
    assert (again.returncode, again.stderr.strip()) == (3, f"say {journal.MASK}")


def test_a_failure_of_another_cause_has_no_command(tmp_path: Path) -> None:
    assert failed.failed_command(tmp_path, "anything") is None
    with journal.writing(tmp_path), pytest.raises(CommandError):
        run(["false"])
    assert failed.failed_command(tmp_path, "something else entirely") is None
    with journal.writing(tmp_path):
        run(["sh", "-c", "exit 1"], check=False)
    assert json.loads((tmp_path / journal.FAILED).read_text())["argv"] == ["false"], "what may fail is no failure"


def test_descriptors_that_it_was_given() -> None:
    command = failed.Command([], [sys.executable, "-c", "import os; os.write(13, b'x')"], False, fds=[13])
    assert subprocess.run(["bash", "-c", command.line()]).returncode == 0


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_exit_codes_are_passed_on(script: str, code: int) -> None:
    assert terminal.attached(["sh", "-c", script]) == code


def test_it_dies_with_us() -> None:
    code = "from debfleet.common.shell.terminal import attached; attached(['sh', '-c', 'echo $$; exec sleep 600'])"
    starter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert starter.stdout
    child = Process.of(int(starter.stdout.readline()))
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    until = time.monotonic() + 60
    while child.alive():
        assert time.monotonic() < until, os.kill(child.pid, signal.SIGKILL) or "it lives on"
        time.sleep(0.05)


def test_who_has_a_terminal() -> None:
    alone = subprocess.Popen(["sleep", "60"], start_new_session=True)
    assert not terminal.in_foreground(alone.pid)
    alone.kill()
    alone.wait()
    assert not terminal.in_foreground(2**22 + 1)


def test_what_a_failure_is_followed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in failure.NOBODY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(terminal, "in_foreground", lambda pid: pid == 1)
    assert failure.wanted(None, 1) == failure.wanted("rollback", 2) == ("rollback", "")
    assert failure.wanted("shell", 1) == ("shell", "")
    way, note = failure.wanted("shell", 2)
    assert (way, "no terminal" in note) == ("rollback", True)
    monkeypatch.setenv("AWX_ISOLATED_DATA_DIR", "/somewhere")
    way, note = failure.wanted("shell", 1)
    assert (way, "ansible-runner" in note) == ("rollback", True)
    with pytest.raises(ValueError, match="rollback or shell, not nonsense"):
        failure.wanted("nonsense", 1)


def test_tasks_that_may_be_rescued() -> None:
    def thing(parent: object, rescue: list[object]) -> types.SimpleNamespace:
        return types.SimpleNamespace(_parent=parent, rescue=rescue)

    assert not failure.may_be_rescued(thing(thing(thing(None, []), []), []))
    assert failure.may_be_rescued(thing(thing(thing(None, ["a task"]), []), []))


@pytest.mark.parametrize(("phase", "counts"), [("preparation", True), ("cleaning", False), ("", False), ("x", False)])
def test_phases_that_a_shell_is_for(phase: str, counts: bool) -> None:
    task = types.SimpleNamespace(get_vars=lambda: {"phase": phase} if phase else {})
    assert bool(failure.phase_of(task)) is counts


def test_no_shell_where_none_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[object, ...]] = []
    monkeypatch.setattr(failed, "open_shell", lambda *words: opened.append(words))
    build = {"on_error": "shell", "work": str(tmp_path)}
    failure.open_shell({}, "preparation", "")
    failure.open_shell({"image_build": {**build, "on_error": "rollback"}}, "preparation", "")
    failure.open_shell({"image_build": {**build, "work": ""}}, "preparation", "")
    failure.open_shell({"image_build": {**build, "work": str(tmp_path / "none")}}, "preparation", "")
    assert not opened
    failure.open_shell({"image_build": build, "image_tree": {"root": "/r"}}, "preparation", "why")
    assert opened == [(tmp_path, Path("/r"), "preparation", "why")]


@pytest.mark.parametrize(
    ("words", "options", "command"),
    [
        (["image", "shell", "x"], ["image", "shell", "x"], []),
        (["x", "--network", "--", "git", "log", "--", "file"], ["x", "--network"], ["git", "log", "--", "file"]),
        (["--", "--"], [], ["--"]),
    ],
)
def test_a_command_behind_two_dashes(words: list[str], options: list[str], command: list[str]) -> None:
    assert split(words) == (options, command)


def test_the_terminal_comes_back_as_it_was() -> None:
    leader, follower = os.openpty()
    before = signal.getsignal(signal.SIGINT)
    with terminal._lent(follower):
        assert signal.getsignal(signal.SIGINT) not in (before, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGINT) is before
    os.close(leader)
    os.close(follower)
