# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build shows while a module runs."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from debfleet.common import journal
from debfleet.controller import progress


class Screen:
    """Keeps what is displayed."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bool]] = []

    def display(self, msg: str, *, newline: bool = True) -> None:
        self.said.append((msg, newline))

    def text(self) -> str:
        return "\n".join(msg for msg, _ in self.said)


def test_a_line_has_phase_bar_share_what_and_seconds() -> None:
    step = progress.Step("os_installation", {"what": "unpacking libc6", "done": 5, "of": 20}, 12.4)
    assert step.line() == "[ 5/11] os_installation       █████░░░░░░░░░░░░░░░  25%  unpacking libc6  12 s"


def test_without_a_share_there_is_no_bar_and_outside_of_a_phase_no_number() -> None:
    assert progress.Step("", {"what": "booting"}, 3).line() == "booting  3 s"
    assert progress.Step("boot", {}, 3).line() == "boot  3 s"


def test_a_line_is_cut_to_the_terminal() -> None:
    assert len(progress.Step("cleaning", {"what": "x" * 200}, 3).line(80)) < 80


def test_a_share_beyond_the_whole_is_the_whole() -> None:
    assert "100%" in progress.Step("cleaning", {"what": "x", "done": 7, "of": 5}, 1).line()


def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool) -> Screen:
    monkeypatch.setattr(progress, "on_a_terminal", lambda _pid: live)
    monkeypatch.setattr(progress, "PLAIN_EVERY", 0.0)
    screen = Screen()
    shown = threading.Event()
    with progress.shown(screen, tmp_path / "work", "os_installation"):
        (tmp_path / "work").mkdir()
        with journal.writing(tmp_path / "work"):
            journal.tell("unpacking", 1, 2)
        until = time.monotonic() + 60
        while "unpacking" not in screen.text() and time.monotonic() < until:
            shown.wait(0.05)
    return screen


def test_on_a_terminal_one_line_changes_and_is_gone_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watched(tmp_path, monkeypatch, live=True)
    assert "50%  unpacking" in screen.text()
    assert all(not newline and msg.startswith(progress.CLEAR) for msg, newline in screen.said)
    assert screen.said[-1] == (progress.CLEAR, False)


def test_elsewhere_there_are_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watched(tmp_path, monkeypatch, live=False)
    assert "50%  unpacking" in screen.text()
    assert all(newline and "\x1b" not in msg and "\r" not in msg for msg, newline in screen.said)
