# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a program: its output, its log, its errors, and its end with ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from debfleet.common import journal, namespace
from debfleet.common.errors import MissingError
from debfleet.common.process import Process
from debfleet.common.run import CommandError, run

PATIENCE = 60  # seconds until a wait gives up


def wait_for(condition: object) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_output_and_errors_are_told_apart() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2"])
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 0)


def test_a_failure_has_the_command_and_its_last_words() -> None:
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", "echo why it failed >&2; exit 3"])
    assert caught.value.returncode == 3
    assert "exit 3" in str(caught.value)
    assert "why it failed" in str(caught.value)


def test_a_program_that_is_not_there_is_named_with_what_to_do() -> None:
    with pytest.raises(MissingError, match="no-such-program is not installed"):
        run(["no-such-program"])


def test_it_reads_what_it_is_given_and_each_line_is_seen() -> None:
    seen: list[str] = []
    run(["cat"], stdin="one\ntwo\n", on_line=seen.append)
    assert seen == ["one", "two"]


def test_the_log_has_command_output_and_seconds_but_no_secret(tmp_path: Path) -> None:
    with journal.writing(tmp_path, ["pa55word"]), pytest.raises(CommandError) as caught:
        run(["sh", "-c", "echo got pa55word; echo bad pa55word >&2; exit 1", "sh", "pa55word"])
    log = (tmp_path / journal.LOG).read_text()
    assert "got ********" in log
    assert "= exit 1 after" in log
    assert "pa55word" not in log
    assert "pa55word" not in str(caught.value)
    assert (tmp_path / journal.LOG).stat().st_mode & 0o077 == 0


def test_nothing_is_logged_outside_of_a_journal(tmp_path: Path) -> None:
    with journal.writing(tmp_path):
        pass
    run(["true"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_program_ends_with_us_however_we_end(tmp_path: Path, number: signal.Signals) -> None:
    note = tmp_path / "pid"
    code = (
        "from debfleet.common.run import raise_on_signals, run\n"
        "raise_on_signals()\n"
        f"run(['sh', '-c', 'echo $$ > {note}; exec sleep 600'])\n"
    )
    ours = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    wait_for(lambda: note.exists() and note.read_text().strip())
    child = Process.of(int(note.read_text()))
    assert child.alive()
    os.kill(ours.pid, number)
    ours.wait(PATIENCE)
    wait_for(lambda: not child.alive())


def test_a_line_that_is_written_over_is_seen_but_not_logged(tmp_path: Path) -> None:
    seen: list[str] = []
    with journal.writing(tmp_path):
        done = run(["printf", r"at 1\rat 2\rready\r\nlast"], on_line=seen.append)
    assert seen == ["at 1", "at 2", "ready", "last"]
    assert done.stdout == "at 1\rat 2\rready\r\nlast"
    log = (tmp_path / journal.LOG).read_text()
    assert "| at" not in log
    assert "| ready\n" in log


def test_proxies_hold_inside_a_tree_and_nothing_else_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("SECRET_OF_THE_BUILDER", "x")
    commands: list[list[str]] = []
    monkeypatch.setattr(namespace, "run", lambda argv, **_: commands.append(argv))
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr/sbin").mkdir(parents=True)
    namespace.run_in_root(tmp_path, ["true"])
    assert "https_proxy=http://127.0.0.1:9" in commands[0]
    assert not any("SECRET_OF_THE_BUILDER" in word for word in commands[0])
