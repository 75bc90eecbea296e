# SPDX-License-Identifier: GPL-3.0-or-later
"""Kept trees: what is kept, found again, noticed as damaged, evicted; and the steps of a build that use them."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debfleet.common import journal, process
from debfleet.common.bases import ahead, fingerprint
from debfleet.common.bases.lineage import REUSE, Lineage
from debfleet.common.bases.stamp import Stamp
from debfleet.common.bases.store import DamagedError, Store, differences
from debfleet.common.errors import DebfleetError
from debfleet.common.workspace import MARK

KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("DEBFLEET_CACHE", str(tmp_path / "cache"))
    return Store.default()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    (root / "etc/motd").write_text("hello")
    (root / "etc/link").symlink_to("motd")
    os.link(root / "etc/motd", root / "etc/hard")
    (root / "etc/motd").chmod(0o640)
    return root


def keep(store: Store, tree: Path, key: str = KEY, step: str = "bootstrap", **parts: object) -> None:
    with store.making(key):
        store.keep(key, step, parts, tree, packages=7, seconds=1.5)


def test_a_kept_tree_comes_back_with_all_it_had(store: Store, tree: Path, tmp_path: Path) -> None:
    keep(store, tree, suite="trixie")
    base = store.find(KEY)
    assert base and (base.step, base.packages, base.parts) == ("bootstrap", 7, {"suite": "trixie"})
    back = tmp_path / "back"
    back.mkdir()
    store.unpack(base, back)
    assert fingerprint.of_path(back / "etc") == fingerprint.of_path(tree / "etc")
    assert (back / "etc/hard").stat().st_ino == (back / "etc/motd").stat().st_ino


def test_what_was_never_kept_is_not_found(store: Store) -> None:
    assert store.find(KEY) is None
    assert store.all() == []


def test_a_flipped_bit_is_noticed_and_the_base_is_gone(store: Store, tree: Path) -> None:
    keep(store, tree)
    file = next(store.folder.glob("*.tar.*"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedError, match="damaged"):
        store.find(KEY)
    assert store.find(KEY) is None and not file.exists()


def test_a_note_without_its_file_and_a_broken_note_are_no_base(store: Store, tree: Path) -> None:
    keep(store, tree)
    next(store.folder.glob("*.tar.*")).unlink()
    assert store.find(KEY) is None
    keep(store, tree, OTHER)
    (store.folder / f"{OTHER}.json").write_text("{")
    assert store.find(OTHER) is None


def test_what_was_used_longest_ago_goes_first_when_there_is_too_much(store: Store, tree: Path) -> None:
    for number, key in enumerate((KEY, OTHER, "c" * 64)):
        keep(store, tree, key)
        os.utime(store.folder / f"{key}.json", (time.time() - 100 + number,) * 2)
    size = next(store.folder.glob("*.tar.*")).stat().st_size
    assert Store(store.folder, 2 * size + size // 2, 86400).evict() == [KEY]
    assert {base.key for base in store.all()} == {OTHER, "c" * 64}


def test_what_was_not_used_for_long_goes(store: Store, tree: Path) -> None:
    keep(store, tree)
    keep(store, tree, OTHER)
    os.utime(store.folder / f"{KEY}.json", (time.time() - 40 * 86400,) * 2)
    lost = store.folder / f".99-{KEY}.tar.zst"
    lost.touch()
    os.utime(lost, (time.time() - 40 * 86400,) * 2)
    assert store.evict() == [KEY]
    assert not lost.exists() and store.find(OTHER)


def test_who_wants_the_same_waits_for_who_makes_it(store: Store, tree: Path) -> None:
    begun, order = threading.Event(), []

    def second() -> None:
        begun.wait()
        with store.making(KEY):
            order.append(f"second found {store.find(KEY) is not None}")

    thread = threading.Thread(target=second)
    thread.start()
    with store.making(KEY):
        begun.set()
        time.sleep(0.3)
        store.keep(KEY, "bootstrap", {}, tree, packages=1, seconds=1)
        order.append("first")
    thread.join()
    assert order == ["first", "second found True"]


def test_no_room_is_an_error_and_leaves_nothing(store: Store, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("debfleet.common.bases.store.RESERVE", 1 << 62)
    with pytest.raises(DebfleetError, match="no room"):
        keep(store, tree)
    assert store.find(KEY) is None


def test_differences_are_told_word_by_word_where_they_can_be() -> None:
    before = {"packages": ["a", "b"], "archive": "1", "same": 1}
    assert differences(before, {"packages": ["b", "c"], "archive": "2", "same": 1}) == ["archive", "packages +c -a"]
    assert differences(before, before) == []


# The steps of a build


class Build:
    """A build whose steps write a file each."""

    def __init__(self, folder: Path) -> None:
        self.work, self.root = folder / "work", folder / "root"
        self.work.mkdir(parents=True)
        self.root.mkdir()
        self.made: list[str] = []
        self.soon = False

    def makes(self, name: str) -> Callable[[], None]:
        def make() -> None:
            self.made.append(name)
            (self.root / name).write_text(name)

        return make

    def run(self, *steps: str, code: str = "code", keep: tuple[str, ...] = ("one", "two", "three")) -> Lineage:
        with journal.writing(self.work):
            lineage = Lineage.begin(self.work, self.root, code)
            for name in steps:
                found = Lineage.of(self.work)
                assert found
                how = {"keep": name in keep, "soon": self.soon}
                lineage = found.step(name, {"name": name}, self.makes(name), lambda: len(self.made), **how)
        return lineage

    def told(self) -> list[tuple[str, bool]]:
        lines = (self.work / REUSE).read_text().splitlines()
        return [(one["step"], one["reused"]) for one in map(json.loads, lines)]


def test_a_second_build_takes_the_last_step_only_when_it_is_needed(store: Store, tmp_path: Path) -> None:
    first, second = Build(tmp_path / "1"), Build(tmp_path / "2")
    first.run("one", "two")
    lineage = second.run("one", "two")
    assert first.made == ["one", "two"] and second.made == []
    assert not lineage.here and list(second.root.iterdir()) == [] and lineage.packages == 2
    lineage.bring()
    assert {path.name for path in second.root.iterdir()} == {"one", "two"}
    assert second.told() == [("one", True), ("two", True)]


def test_a_step_that_differs_is_made_on_the_last_that_does_not(store: Store, tmp_path: Path) -> None:
    Build(tmp_path / "1").run("one", "two")
    second = Build(tmp_path / "2")
    second.run("one", "three")
    assert second.made == ["three"]
    assert {path.name for path in second.root.iterdir()} == {"one", "three"}
    assert second.told() == [("one", True), ("three", False)]


def test_other_code_makes_everything_anew(store: Store, tmp_path: Path) -> None:
    Build(tmp_path / "1").run("one")
    second = Build(tmp_path / "2")
    second.run("one", code="changed")
    assert second.made == ["one"]


def test_a_step_not_worth_keeping_is_made_each_time_and_those_after_it_are_found(store: Store, tmp_path: Path) -> None:
    keep_ = ("one", "three")
    Build(tmp_path / "1").run("one", "two", "three", keep=keep_)
    second = Build(tmp_path / "2")
    lineage = second.run("one", "two", "three", keep=keep_).bring()
    assert second.made == ["two"] and lineage.here
    assert {path.name for path in second.root.iterdir()} == {"one", "two", "three"}


def test_after_another_change_nothing_is_kept_or_taken(store: Store, tmp_path: Path) -> None:
    Build(tmp_path / "1").run("one", "two")
    second = Build(tmp_path / "2")
    second.run("one").leave()
    left = Lineage.of(second.work)
    assert left and left.here and not left.key and (second.root / "one").exists()
    left.step("two", {"name": "two"}, second.makes("two"), lambda: 2)
    assert second.made == ["two"] and len(store.all()) == 2


def test_a_damaged_base_is_made_anew_and_said(store: Store, tmp_path: Path) -> None:
    Build(tmp_path / "1").run("one")
    file = next(store.folder.glob("*.tar.*"))
    file.write_bytes(b"x" * file.stat().st_size)
    second = Build(tmp_path / "2")
    second.run("one")
    assert second.made == ["one"]
    assert "damaged" in (second.work / REUSE).read_text()


def test_something_written_before_the_tree_is_there_is_refused(store: Store, tmp_path: Path) -> None:
    Build(tmp_path / "1").run("one")
    second = Build(tmp_path / "2")
    lineage = second.run("one")
    (second.root / "early").touch()
    with pytest.raises(DebfleetError, match="before the tree was there"):
        lineage.bring()


def unpacking(tmp_path: Path) -> tuple[Build, Lineage]:
    """A build that has begun to unpack what another has kept."""
    Build(tmp_path / "1").run("one")
    build = Build(tmp_path / "2")
    build.soon = True
    lineage = build.run("one")
    assert not lineage.here and list(build.root.iterdir()) == []
    return build, lineage


def test_a_tree_is_unpacked_while_the_build_goes_on(store: Store, tmp_path: Path) -> None:
    build, lineage = unpacking(tmp_path)
    store.forget(lineage.key)  # who is at it needs its name no more
    with journal.writing(build.work):
        assert lineage.bring().here
    assert (build.root / "one").read_text() == "one" and Stamp.of(build.work)
    assert {path.name for path in build.root.parent.iterdir()} == {"root", "work"}
    assert "+ tar" in (build.work / journal.LOG).read_text()


def test_a_tree_that_is_unpacked_meanwhile_can_not_be_written_to_before(store: Store, tmp_path: Path) -> None:
    build, lineage = unpacking(tmp_path)
    (build.root / "early").touch()
    with pytest.raises(DebfleetError, match="before the tree was there"):
        lineage.bring()


@pytest.mark.parametrize("script", ["echo no room >&2; exit 2", "kill -9 $PPID; exit 0"])
def test_what_fails_or_is_ended_meanwhile_is_an_error(tmp_path: Path, script: str) -> None:
    ahead.begin(["sh", "-c", script], tmp_path / "folder")
    assert ahead.begun(tmp_path / "folder")
    with pytest.raises(DebfleetError, match="could not be unpacked") as told:
        ahead.wait(tmp_path / "folder")
    assert told.value.why in ("no room", "exit nothing")
    assert not ahead.begun(tmp_path / "folder")


def test_what_ends_a_build_ends_what_it_has_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, str(tmp_path))
    ahead.begin(["sleep", "1000"], tmp_path / "folder")
    monkeypatch.delenv(MARK)
    process.end_marked(f"{MARK}={tmp_path}")
    with pytest.raises(DebfleetError, match="could not be unpacked"):
        ahead.wait(tmp_path / "folder")


def test_a_build_that_keeps_nothing_has_no_lineage(tmp_path: Path) -> None:
    assert Lineage.of(tmp_path) is None and Lineage.of(None) is None


# Fingerprints

NAMES = st.text("abc", min_size=1, max_size=2)
FILES = st.dictionaries(NAMES, st.binary(max_size=3), max_size=4)


@given(FILES, FILES)
def test_folders_have_the_same_word_just_when_they_hold_the_same(
    tmp_path_factory: pytest.TempPathFactory, one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    words = []
    for files in (one, other):
        folder = tmp_path_factory.mktemp("files")
        for name, content in files.items():
            (folder / name).write_bytes(content)
        words.append(fingerprint.of_path(folder))
    assert (words[0] == words[1]) == (one == other)


def test_modes_links_and_folders_count_and_caches_do_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    seen = {fingerprint.of_path(tmp_path)}
    (tmp_path / "__pycache__").mkdir()
    seen.add(fingerprint.of_path(tmp_path))
    assert len(seen) == 1
    (tmp_path / "a").chmod(0o600)
    seen.add(fingerprint.of_path(tmp_path))
    (tmp_path / "b").symlink_to("a")
    seen.add(fingerprint.of_path(tmp_path))
    (tmp_path / "c").mkdir()
    seen.add(fingerprint.of_path(tmp_path))
    assert len(seen) == 4
    assert fingerprint.of_path(tmp_path / "nothing") != fingerprint.of_path(tmp_path)
