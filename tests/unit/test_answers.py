# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked once in a build."""

from __future__ import annotations

from pathlib import Path

import pytest

from debfleet.common import journal
from debfleet.common.answers import FILE, once


@pytest.fixture
def asked() -> list[str]:
    return []


def question(asked: list[str], word: str) -> str:
    def ask() -> str:
        asked.append(word)
        return word * 2

    return once(word, ask)


def test_a_question_is_asked_once_in_a_build_and_each_by_itself(tmp_path: Path, asked: list[str]) -> None:
    for _ in range(2):  # as two modules of one build
        with journal.writing(tmp_path):
            assert question(asked, "a") == "aa"
            assert question(asked, "b") == "bb"
    assert asked == ["a", "b"]


def test_outside_of_a_build_it_is_asked_each_time(asked: list[str]) -> None:
    assert [question(asked, "a"), question(asked, "a")] == ["aa", "aa"]
    assert asked == ["a", "a"]


def test_answers_that_cannot_be_read_are_asked_for_again(tmp_path: Path, asked: list[str]) -> None:
    (tmp_path / FILE).write_text("{torn")
    with journal.writing(tmp_path):
        assert question(asked, "a") == "aa"
    assert asked == ["a"]
