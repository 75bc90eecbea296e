# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of tasks: read, written, checked, merged and filtered."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_lists import TASKS, task

from debfleet import cli
from debfleet.common.errors import DebfleetError, FindingsError
from debfleet.tasks import generate, lines, merge, validate
from debfleet.tasks.select import Filter, FilterError, matcher, seconds, shown
from debfleet.tasks.task import CLASSES, REQUIRED, Task

LISTS = st.lists(TASKS, max_size=8, unique_by=lambda one: one.identity)


# ---- the form ----


@settings(deadline=None)
@given(LISTS)
def test_what_is_written_is_read_again(tasks: list[Task]) -> None:
    read, problems = validate.check(lines.dumped(tasks), "x")
    assert problems == []
    assert read == tasks


def test_the_schema_and_the_class_have_the_same_keys(repo: Path) -> None:
    schema = json.loads((repo / "schemas/task.json").read_text())
    assert set(schema["properties"]) == {"schema_version", *Task.__dataclass_fields__}
    assert tuple(schema["required"]) == REQUIRED
    assert tuple(schema["properties"]["size_class"]["enum"]) == CLASSES
    assert set(schema["properties"]["esttime_from"]["enum"]) == set(merge.TRUST)


def test_older_names_are_read() -> None:
    older = '{"type": "rebuild", "dist": "sid", "arch": "amd64", "package": "hello", "version": "1", "esttime": 3}'
    (read,), problems = validate.check(older, "x")
    assert problems == []
    assert (read.kind, read.suite, read.esttime) == ("rebuild", "sid", 3)
    assert '"type"' not in lines.dumped([read])


def test_comments_and_empty_lines_are_passed_over() -> None:
    text = f"# a list\n\n{lines.line_of(task())}\n   \n"
    assert validate.check(text, "x") == ([task()], [])


GOOD = task().to_dict()


@pytest.mark.parametrize(
    ("read", "path", "words"),
    [
        ({"version": None}, "version", "null is no string"),
        ({"version": "1/2"}, "version", "has not the form"),
        ({"package": "../etc"}, "package", "has not the form"),
        ({"logfile": "a/../../etc/passwd"}, "logfile", "should not be valid"),
        ({"logfile": "/etc/passwd"}, "logfile", "has not the form"),
        ({"esttime": -1}, "esttime", "-1"),
        ({"esttime": True}, "esttime", "true is no integer"),
        ({"size_class": "giant"}, "size_class", '"giant" is none of small, medium'),
        ({"arch": "x86_64"}, "arch", "Debian calls it amd64"),
        ({"arch": "vax"}, "arch", "there is no architecture vax"),
        ({"kind": "rebuilt"}, "kind", "did you mean rebuild?"),
        ({"color": 1}, "", "unknown: color; known are"),
        ({"dist": "sid"}, "", "today's name is suite"),
        ({"options": {"paralel": 4}}, "options", "unknown: paralel"),
        ({"options": {"parallel": 0}}, "options.parallel", "0"),
        ({"options": {"compiler": "icc"}}, "options.compiler", '"icc" has not the form'),
        ({"options": {"pins": [{"package": "x"}]}}, "options.pins[0]", "it has no pin and no pin-priority"),
        ({"options": []}, "options", "[] is no object"),
    ],
)
def test_what_is_wrong_is_named(read: dict[str, Any], path: str, words: str) -> None:
    tasks, (problem,) = validate.check("\n" + json.dumps(GOOD | read), "list.jsonl")
    assert tasks == []
    assert (problem.file, problem.line, problem.path) == ("list.jsonl", 2, path)
    assert words in problem.message
    assert problem.text().startswith("list.jsonl:2: ")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ("3", "3 is no object"),
        ("{}", "it has no kind and no suite"),
    ],
)
def test_what_is_no_task_is_named(line: str, words: str) -> None:
    tasks, (problem,) = validate.check(line, "x")
    assert tasks == []
    assert words in problem.message


def test_the_same_task_twice_is_wrong() -> None:
    tasks, (problem,) = validate.check(lines.dumped([task(), task("tree"), task(esttime=5)]), "x")
    assert [one.package for one in tasks] == ["hello", "tree"]
    assert (problem.line, problem.message) == (3, "the same task as in line 1: rebuild/trixie/amd64/hello/1.0-1")


@settings(deadline=None)
@given(
    st.text(max_size=60)
    | st.recursive(st.none() | st.integers() | st.text(max_size=4), st.lists, max_leaves=4).map(json.dumps)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    tasks, problems = validate.check(text, "x")
    assert not tasks
    assert all(problem.message for problem in problems)


def test_a_list_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    lines.write([task()], str(tmp_path / "list"))
    assert lines.text_of(str(tmp_path / "list")) == lines.dumped([task()])
    assert list(tmp_path.iterdir()) == [tmp_path / "list"]
    with pytest.raises(DebfleetError, match="could not write"):
        lines.write([task()], str(tmp_path / "list/below"))
    with pytest.raises(DebfleetError, match="could not read"):
        lines.text_of(str(tmp_path / "none"))


# ---- merging ----


@settings(deadline=None)
@given(st.lists(LISTS, max_size=3), st.sampled_from(["first", "last"]))
def test_merged_has_each_task_once_and_none_is_lost(lists: list[list[Task]], prefer: Any) -> None:
    merged = merge.merge(lists, prefer).tasks
    identities = [one.identity for one in merged]
    assert len(identities) == len(set(identities))
    assert set(identities) == {one.identity for tasks in lists for one in tasks}
    assert merge.merge([merged, merged], prefer) == merge.Merged(merged, [])
    for one in merged:
        told = [other for tasks in lists for other in tasks if other.identity == one.identity]
        assert merge.TRUST.index(one.esttime_from) == max(merge.TRUST.index(other.esttime_from) for other in told)
        assert validate.check(lines.line_of(one), "x") == ([one], [])


def test_better_estimates_are_no_conflict() -> None:
    guessed = task(esttime=900, esttime_from="size", size_class="large")
    seen = task(esttime=60, esttime_from="database", memory=1 << 30, size_class="small")
    for lists in ([[guessed], [seen]], [[seen], [guessed]]):
        assert merge.merge(lists) == merge.Merged([seen], [])


def test_conflicts_are_told_and_settled_by_what_is_preferred() -> None:
    one, other = task(cause="a"), task(cause="b", options={"nocheck": True}, esttime=9, esttime_from="given")
    with pytest.raises(FindingsError) as raised:
        merge.merge([[one], [other]])
    assert "rebuild/trixie/amd64/hello/1.0-1: cause: 'a' and 'b'" in raised.value.why
    assert "options: {} and {'nocheck': True}" in raised.value.why
    first = merge.merge([[one], [other]], "first")
    assert [conflict.key for conflict in first.conflicts] == ["options", "cause"]
    assert (first.tasks[0].cause, first.tasks[0].esttime) == ("a", 9)
    assert merge.merge([[one], [other]], "last").tasks == [other]


def test_several_versions_are_noted() -> None:
    assert merge.versions([task(), task(version="2"), task("tree")]) == [
        "rebuild/trixie/amd64/hello is there in 2 versions: 1.0-1, 2"
    ]


# ---- filters ----


@pytest.mark.parametrize(("text", "wanted"), [("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2 d", 172800)])
def test_durations(text: str, wanted: int) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize(
    ("given_", "wanted"), [(3, "3 s"), (59.6, "1 min"), (3599, "1 h 00 min"), (9000, "2 h 30 min")]
)
def test_durations_for_a_reader(given_: float, wanted: str) -> None:
    assert shown(given_) == wanted


@pytest.mark.parametrize("text", ["", "soon", "-3", "2w", "1h30m"])
def test_no_durations(text: str) -> None:
    with pytest.raises(FilterError):
        seconds(text)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("hello", "hello", True),
        ("hello", "hello2", False),
        ("lib*", "libx", True),
        ("lib*", "alib", False),
        ("g++-1[45]", "g++-15", True),
        ("/perl$/", "libx-perl", True),
        ("/^perl$/", "libx-perl", False),
    ],
)
def test_patterns(pattern: str, name: str, fits: bool) -> None:
    assert matcher(pattern)(name) is fits


def test_no_pattern() -> None:
    with pytest.raises(FilterError, match="no regular expression"):
        matcher("/(/")


def test_filters() -> None:
    tasks = [
        task("liba", esttime=10),
        task("libb", esttime=100, suite="sid"),
        task("libc", esttime=1000, arch="arm64"),
        task("d", esttime=100),
    ]

    def kept(**limits: Any) -> str:
        return " ".join(one.package for one in Filter(**limits).tasks(tasks))

    assert kept() == "liba libb libc d"
    assert kept(include=("lib*",), exclude=("libb",)) == "liba libc"
    assert kept(shortest=100) == "libb libc d"
    assert kept(longest=100, shortest=11) == "libb d"
    assert kept(suites=("sid",)) == "libb"
    assert kept(architectures=("arm64",)) == "libc"


# ---- at the prompt ----


def test_merge_at_the_prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    lines.write([task(cause="a"), task("tree", esttime=9)], str(one))
    lines.write([task(cause="b"), task("slow", esttime=99)], str(other))
    assert cli.main(["tasks", "merge", str(one), str(other)]) == 1
    assert "cause: 'a' and 'b'" in capsys.readouterr().err
    assert cli.main(["tasks", "merge", str(one), str(other), "--prefer", "first", "--exclude", "tree"]) == 0
    said = capsys.readouterr()
    read, problems = validate.check(said.out, "x")
    assert problems == []
    assert [(one.package, one.cause) for one in read] == [("slow", ""), ("hello", "a")]
    assert "the first counts" in said.err
    assert "2 tasks" in said.err


def test_validate_at_the_prompt(repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    lines.write([task()], str(good))
    bad.write_text('{"kind": "rebuild"}\n')
    assert cli.main(["tasks", "validate", str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: right, 1 tasks\n"
    assert cli.main(["tasks", "validate", "--json", str(good), str(bad)]) == 1
    said = json.loads(capsys.readouterr().out)
    jsonschema.validate(said, json.loads((repo / "schemas/task-check.json").read_text()))
    (error,) = said["errors"]
    assert (error["file"], error["line"]) == (str(bad), 1)
    assert cli.main(["tasks", "show", str(bad)]) == 1
    assert "it has no suite" in capsys.readouterr().err


def test_show_at_the_prompt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = lines.dumped([task("short", esttime=3), task("long", esttime=300)])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert cli.main(["-q", "tasks", "show", "-"]) == 0
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()] == ["package", "long", "short"]
    assert said.err == ""


def test_a_summary_of_nothing() -> None:
    assert generate.summary([]) == "no tasks\n"
