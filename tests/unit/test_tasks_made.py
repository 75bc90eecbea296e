# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks made of packages: which there are, how long they take, which nodes they need."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_lists import OPTIONS, PACKAGES, VERSIONS, task

from debfleet import kinds
from debfleet.common.errors import DebfleetError, FindingsError, MissingError
from debfleet.kinds import Entry, rebuild, wildcards
from debfleet.tasks import archive, database, estimate, generate, lines, named, validate
from debfleet.tasks.estimate import GIB, LONG, MIB, Seen

WORDS = ("any", "all", "linux-any", "amd64", "arm64", "any-i386", "kfreebsd-any", "hurd-i386")
ENTRIES = st.builds(
    Entry,
    PACKAGES,
    VERSIONS,
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(tuple),
    size=st.none() | st.integers(0, 1 << 34),
)


# ---- which tasks a source gives ----


@pytest.mark.parametrize(
    ("words", "options", "wanted"),
    [
        ("any", {}, [("amd64", {}), ("arm64", {})]),
        ("all", {}, [("amd64", {})]),
        ("any all", {}, [("amd64", {}), ("arm64", {"arch_all": False})]),
        ("arm64 all", {}, [("arm64", {})]),
        ("s390x all", {}, [("amd64", {})]),
        ("s390x", {}, []),
        ("kfreebsd-any", {}, []),
        ("linux-any", {"nocheck": True}, [("amd64", {"nocheck": True}), ("arm64", {"nocheck": True})]),
        ("any-arm64", {}, [("arm64", {})]),
        ("all", {"arch_all": False}, []),
        ("any all", {"arch_all": False}, [("amd64", {"arch_all": False}), ("arm64", {"arch_all": False})]),
        ("any all", {"arch_any": False}, [("amd64", {"arch_any": False})]),
        ("any", {"arch_any": False}, []),
    ],
)
def test_rows_of_a_source(words: str, options: dict[str, Any], wanted: list[Any]) -> None:
    entry = Entry("x", "1", tuple(words.split()))
    assert list(rebuild.rows(entry, ("amd64", "arm64"), options)) == wanted


def test_dpkgs_table_is_needed_for_wildcards_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "debian.debian_support", None)
    wildcards.matches.cache_clear()
    wildcards._table.cache_clear()
    assert wildcards.matches("amd64", "any")
    assert not wildcards.matches("amd64", "s390x")
    with pytest.raises(MissingError, match="python-debian"):
        wildcards.matches("amd64", "any-amd64")


@settings(deadline=None)
@given(st.lists(ENTRIES, max_size=6, unique_by=lambda one: one.package), OPTIONS)
def test_what_is_made_is_valid(entries: list[Entry], options: dict[str, Any]) -> None:
    made = generate.longest_first(
        generate.tasks_of(kinds.find("rebuild"), "sid", entries, ("arm64", "amd64", "i386"), options)
    )
    assert validate.check(lines.dumped(made), "x") == (made, [])
    assert [one.esttime for one in made] == sorted((one.esttime for one in made), reverse=True)
    for entry in entries:
        found = [one for one in made if one.package == entry.package]
        everywhere = [one for one in found if one.options.get("arch_all", True)]
        assert len(everywhere) <= 1 or "all" not in entry.architectures, "what is for all is built once"


# ---- a kind from outside ----


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A kind that another package brings: a file and its entry point."""
    (tmp_path / "weigh.py").write_text(
        "from debfleet.kinds import Kind\n"
        "def rows(entry, architectures, options):\n"
        "    yield from ((arch, dict(options)) for arch in architectures if arch in (*entry.architectures,))\n"
        "KIND = Kind('weigh', 'binary', rows, {'scale': {'type': 'string'}})\n"
    )
    info = tmp_path / "weigh-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: weigh\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[debfleet.kinds]\nweigh = weigh:KIND\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    kinds._entry_points.cache_clear()
    validate._validator.cache_clear()
    yield "weigh"
    kinds._entry_points.cache_clear()
    validate._validator.cache_clear()
    sys.modules.pop("weigh", None)


def test_a_kind_from_outside(outside: str) -> None:
    kind = kinds.find(outside)
    assert kinds.names() == ["rebuild", "weigh"]
    made = generate.tasks_of(kind, "sid", [Entry("x", "1", ("arm64",), size=5)], ("amd64", "arm64"), {"scale": "kg"})
    assert [(one.kind, one.arch, dict(one.options)) for one in made] == [("weigh", "arm64", {"scale": "kg"})]
    assert validate.check(lines.dumped(made), "x") == (made, [])
    with pytest.raises(FindingsError, match="no options of weigh"):
        validate.options(outside, {"colour": 1})


def test_no_kind() -> None:
    with pytest.raises(FindingsError, match="there is no kind of task weigh") as raised:
        kinds.find("weigh")
    assert "rebuild" in raised.value.hint


# ---- indices ----

SOURCES = """\
Package: hello
Binary: hello
Version: 2.10-5
Architecture: any
Section: devel
Files:
 0123456789abcdef0123456789abcdef 1700 hello_2.10-5.dsc
 0123456789abcdef0123456789abcdef 725946 hello_2.10.orig.tar.gz

Package: hello
Version: 2.10-3
Architecture: any

Package: firmware
Version: 1:1~rc1-1
Architecture: all amd64
Section: non-free/kernel

Package: embedded
Version: 1
Extra-Source-Only: yes
"""


def test_sources_are_read() -> None:
    found = list(archive.parse(SOURCES))
    assert found[0] == Entry("hello", "2.10-5", ("any",), "main", 727646)
    assert found[2] == Entry("firmware", "1:1~rc1-1", ("all", "amd64"), "non-free", None)
    assert [entry.package for entry in found] == ["hello", "hello", "firmware"]
    assert archive.newest(found, "source") == [found[2], found[0]]


def test_newest_of_binaries_is_for_each_architecture() -> None:
    found = [Entry("x", version, (arch,)) for version, arch in (("1~b", "amd64"), ("1", "amd64"), ("0", "arm64"))]
    assert archive.newest([*found, found[0]], "binary") == [found[1], found[2]]


@pytest.mark.parametrize(
    ("size", "files", "wanted"),
    [("12", "", 12), ("", "", None), ("", "\n a 3 x\n b 4 y", 7), ("x", "nonsense", None), ("", "\n a -3 x", None)],
)
def test_sizes(size: str, files: str, wanted: int | None) -> None:
    assert archive.size_of(size, files) == wanted


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(DebfleetError, match="no suite sid in the local repository"):
        archive.Repository("sid", mirror=str(tmp_path)).wish()


# ---- names ----


def test_a_list_of_names() -> None:
    text = "hello\n# comment\ntree=2.1-1  # this one\nlibx_1:2~3\nliby 4\n\n"
    found = named.parse(text, "list")
    assert [(one.package, one.version, one.where) for one in found] == [
        ("hello", "", "list:1"), ("tree", "2.1-1", "list:3"), ("libx", "1:2~3", "list:4"), ("liby", "4", "list:5"),
    ]  # fmt: skip
    assert [one.package for one in named.words(["a1,b1=2", "c1"])] == ["a1", "b1", "c1"]


def test_what_is_no_name_is_told_with_its_line() -> None:
    with pytest.raises(FindingsError) as raised:
        named.parse("ok\nNot A Name\n../x\n", "list")
    assert raised.value.why == "list:2: Not A Name\nlist:3: ../x"


@settings(deadline=None)
@given(st.lists(st.tuples(PACKAGES, VERSIONS | st.just("")), max_size=5))
def test_names_are_read_as_they_are_written(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"{name}{f'={version}' if version else ''}\n" for name, version in pairs)
    assert [(one.package, one.version) for one in named.parse(text, "x")] == pairs


def test_named_packages_are_found_or_told() -> None:
    entries = list(archive.parse(SOURCES))

    def chosen(*texts: str) -> Sequence[Entry]:
        return named.chosen(named.words(texts), entries, "source", "sid")

    assert chosen("hello", "firmware,hello") == [entries[0], entries[2]]
    assert chosen("hello=2.10-3") == [entries[1]]
    with pytest.raises(FindingsError, match="not all packages are in sid") as raised:
        chosen("helo,hello=3,nothing-like-it")
    assert raised.value.why.splitlines() == [
        "helo: did you mean hello?",
        "hello=3: it has 2.10-5, 2.10-3",
        "nothing-like-it: no such name there",
    ]


# ---- estimates ----


def estimated(size: int | None, *histories: estimate.History) -> tuple[int, str, int | None, str]:
    (one,) = estimate.estimated([task()], [size], histories)
    return one.esttime, one.esttime_from, one.memory, one.size_class


HELLO = ("rebuild", "amd64", "hello")


def test_estimates_say_where_they_come_from() -> None:
    database = {HELLO: Seen(70, None, "database")}
    results = {HELLO: Seen(50, GIB, "results")}
    assert estimated(None) == (LONG, "unknown", None, "small")
    assert estimated(2 * MIB) == (150, "size", None, "small")
    assert estimated(2500 * MIB) == (12 * 3600, "size", None, "large")
    assert estimated(None, database) == (70, "database", None, "small")
    assert estimated(MIB, results) == (50, "results", round(1.25 * GIB), "small")
    assert estimated(MIB, database, results) == (70, "database", round(1.25 * GIB), "small")
    assert estimated(MIB, {HELLO: Seen(None, GIB, "results")}) == (90, "size", round(1.25 * GIB), "small")


def test_many_real_times_tell_what_a_size_means() -> None:
    tasks = [task(f"p{number}") for number in range(estimate.ENOUGH)] + [task("new")]
    history = {
        ("rebuild", "amd64", f"p{number}"): Seen(estimate.LEAST + 10, None, "results")
        for number in range(estimate.ENOUGH)
    }
    *_, last = estimate.estimated(tasks, [MIB] * len(tasks), [history])
    assert (last.esttime, last.esttime_from) == (estimate.LEAST + 10, "size")


@pytest.mark.parametrize(
    ("memory", "size", "wanted"),
    [
        (1, None, "small"), (4 * GIB, None, "small"), (4 * GIB + 1, 1, "medium"), (9 * GIB, 1, "large"),
        (33 * GIB, 1, "huge"), (None, MIB, "small"), (None, 31 * MIB, "medium"), (None, 500 * MIB, "large"),
    ],
)  # fmt: skip
def test_classes(memory: int | None, size: int | None, wanted: str) -> None:
    assert estimate.class_of(memory, size) == wanted


def result(folder: Path, path: str, age: int, **said: Any) -> None:
    file = folder / path / "result.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(said))
    os.utime(file, (1_000_000 - age,) * 2)


def test_earlier_results_are_read(tmp_path: Path) -> None:
    result(tmp_path, "one/rebuild/sid/amd64/hello/1", 30, outcome="success", seconds=40, peak_memory=3 * GIB)
    result(tmp_path, "two/rebuild/sid/amd64/hello/2", 20, outcome="success", seconds=44.4, peak_memory=GIB)
    result(tmp_path, "three/rebuild/sid/amd64/hello/2", 10, outcome="failure", seconds=2)
    assert estimate.results(tmp_path) == {HELLO: Seen(44, 3 * GIB, "results")}


def test_results_that_can_not_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(DebfleetError, match="no such folder"):
        estimate.results(tmp_path / "none")
    result(tmp_path, "one/rebuild/sid/amd64/hello/1", 1, outcome="success", seconds="soon")
    with pytest.raises(DebfleetError) as raised:
        estimate.results(tmp_path)
    assert raised.value.where.endswith("hello/1/result.json")


# ---- databases, without one ----


@pytest.mark.parametrize(
    ("dsn", "words"),
    [
        ("host=127.0.0.1 user=x password=hunter22", "the DSN has a password"),
        ("postgresql://x:hunter22@127.0.0.1/udd", "the DSN has a password"),
        ("nonsense", "this is no DSN"),
        ("host=/nowhere dbname=udd connect_timeout=1", "could not read the database"),
    ],
)
def test_no_database(dsn: str, words: str) -> None:
    with pytest.raises(DebfleetError, match=words) as raised, database.connected(dsn):
        pass
    assert "hunter22" not in str(raised.value)
