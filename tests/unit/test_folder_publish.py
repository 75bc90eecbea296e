# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder appears whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from debfleet.common.errors import DebfleetError
from debfleet.common.folder import publish
from debfleet.common.ledger import Ledger
from debfleet.common.process import Process


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "build/name"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr("debfleet.common.ledger.state_folder", lambda: tmp_path / "state")
    return Ledger.open("build", Process.of(os.getpid()))


def fill(folder: Path, text: str) -> None:
    (folder / publish.METADATA).write_text(text)
    (folder / text).write_text("")


def put(place: Path, text: str, ledger: Ledger | None = None) -> None:
    with publish.published(place, ledger) as folder:
        fill(folder, text)


def names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def alone(place: Path) -> bool:
    """Whether nothing else is beside it."""
    return [path.name for path in place.parent.iterdir()] == [place.name]


def test_a_new_folder(place: Path) -> None:
    with publish.published(place, None) as folder:
        assert not place.exists()
        assert folder.parent == place.parent
        fill(folder, "new")
    assert names(place) == {"new", "metadata.json"}
    assert alone(place)


def test_an_older_one_is_replaced(place: Path) -> None:
    put(place, "old")
    put(place, "new")
    assert names(place) == {"new", "metadata.json"}
    assert alone(place)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError(), DebfleetError("no")])
def test_after_an_error_the_older_one_stands(place: Path, error: BaseException) -> None:
    put(place, "old")
    with pytest.raises(type(error)), publish.published(place, None) as folder:
        fill(folder, "new")
        raise error
    assert names(place) == {"old", "metadata.json"}
    assert alone(place)


def test_a_full_disk_is_told_in_words(place: Path) -> None:
    with pytest.raises(DebfleetError, match="could not write") as caught, publish.published(place, None):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "No space left" in caught.value.why
    assert not place.exists()


def test_the_partial_folder_is_in_the_ledger_before_it_is_made(place: Path, ledger: Ledger) -> None:
    with publish.published(place, ledger) as folder:
        held = Ledger.load(ledger.path).held
        assert held == [{"kind": "folder", "path": str(folder)}]
        fill(folder, "new")
    assert Ledger.load(ledger.path).held == []


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_no_build_made_is_not_replaced(place: Path, kind: str) -> None:
    place.parent.mkdir()
    if kind == "file":
        place.write_text("mine")
    elif kind == "folder":
        place.mkdir()
        (place / "mine").write_text("")
    else:
        put(place.with_name("other"), "x")
        place.symlink_to("other")
    with pytest.raises(DebfleetError, match="was not made by a build"):
        put(place, "new")
    with pytest.raises(DebfleetError, match="was not made by a build"):
        publish.remove(place)
    assert os.path.lexists(place)


def test_the_first_of_two_that_publish_at_once_gives_way(place: Path) -> None:
    with publish.published(place, None) as first:
        fill(first, "first")
        second = first.with_name(".name.0.partial")  # as another process would name its own
        second.mkdir()
        fill(second, "second")
        publish.put(second, place)
    assert names(place) == {"first", "metadata.json"}  # the later one wins, whole


def test_a_filesystem_that_can_not_exchange(place: Path) -> None:
    put(place, "old")
    new = place.with_name(".name.1.partial")
    new.mkdir()
    fill(new, "new")
    assert publish._in_two_steps(new, place)
    assert names(place) == {"new", "metadata.json"}
    assert names(new) == {"old", "metadata.json"}


def test_removing(place: Path) -> None:
    assert not publish.remove(place)
    put(place, "old")
    assert publish.remove(place)
    assert list(place.parent.iterdir()) == []
