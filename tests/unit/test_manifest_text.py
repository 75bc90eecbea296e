# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading manifests' text: positions, duplicates, tags, bombs, sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
from manifest_tools import check_data, error_at, with_key

from debfleet.common.manifest import json_text, yaml_text
from debfleet.common.manifest.load import LARGEST, load
from debfleet.common.manifest.problems import Place, Positions, UnreadableError


def written(folder: Path, text: str, name: str = "m.yml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(folder: Path, text: str, name: str = "m.yml") -> list[str]:
    with pytest.raises(UnreadableError) as caught:
        load(written(folder, text, name))
    return [f"{p.line}:{p.column} {p.path} {p.message}" for p in caught.value.problems]


def test_json_has_comments_and_positions() -> None:
    positions = Positions("f")
    data = json_text.read('// one\n{"a": {"b": [1, "x//y"]}, /* two\n lines */ "c": -1.5e3,\n"d": null}', positions)
    assert data == {"a": {"b": [1, "x//y"]}, "c": -1500.0, "d": None}
    assert positions.place(("a", "b", 1)) == Place(2, 17)
    assert positions.place(("d",), key=True) == Place(4, 1)
    assert positions.place(("d",)) == Place(4, 6)


def test_a_place_that_is_not_written_is_its_section() -> None:
    positions = Positions("f")
    json_text.read('{"a":\n {"b": 1}}', positions)
    assert positions.place(("a", "z")) == Place(1, 2)
    assert positions.place(("z",)) == Place(1, 1)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"a": 1,}', "1:9"),
        ('{"a" 1}', "1:6"),
        ('{"a": }', "1:7"),
        ('{"a": 1} x', "1:10"),
        ('{"a": [1\n 2]}', "2:2"),
        ('{"a": "x', "1:7"),
        ('{"a": nul}', "1:7"),
        ("", "1:1"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(tmp_path: Path, text: str, where: str) -> None:
    said = refused(tmp_path, text, "m.json")
    assert len(said) == 1 and said[0].startswith(where) and "not JSON" in said[0]


def test_every_duplicate_key_is_told(tmp_path: Path) -> None:
    said = refused(tmp_path, '{"a": 1,\n "a": 2, "b": {"c": 1,\n"c": 2}}', "m.json")
    assert [line[:5].strip() for line in said] == ["2:2 a", "3:1 b"]
    said = refused(tmp_path, "a: 1\nb: {c: 1, c: 2}\na: 2\n")
    assert said == [
        "2:11 b.c the key is there twice, first in line 2",
        "3:1 a the key is there twice, first in line 1",
    ]


def test_yaml_scalars_mean_what_they_mean_in_json() -> None:
    text = (
        'a: no\nb: 0755\nc: 1777\nd: true\ne: ~\nf: 2024-01-01\ng: "1"\nh: 1.5\ni: 12:30\nj: 0x10\nk: 1_000\nl: 1e3\n'
    )
    assert yaml_text.read(text, Positions("f")) == {
        "a": "no", "b": "0755", "c": 1777, "d": True, "e": None, "f": "2024-01-01", "g": "1", "h": 1.5, "i": "12:30",
        "j": "0x10", "k": "1_000", "l": "1e3",
    }  # fmt: skip


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [true]", "!foo bar", "!!binary aGk=", "!!set {a, b}"])
def test_tags_are_refused(tmp_path: Path, tag: str) -> None:
    said = refused(tmp_path, f"name: x\nother: {tag}\n")
    assert len(said) == 1 and said[0].startswith("2:8 other the tag")


def test_aliases_may_be_used_but_not_for_a_bomb(tmp_path: Path) -> None:
    assert load(written(tmp_path, "a: &x [1]\nb: *x\n")).data == {"a": [1], "b": [1]}
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join(['*a' + str(n - 1)] * 10)}]" for n in range(1, 12)]
    assert "aliases count each time" in refused(tmp_path, "\n".join(lines))[0]
    assert "deep" in refused(tmp_path, "a: &a [*a]\n")[0]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "a: " + "{b: " * 1000])
@pytest.mark.parametrize("name", ["m.yml", "m.json"])
def test_deep_nesting_is_refused(tmp_path: Path, text: str, name: str) -> None:
    assert refused(tmp_path, text, name)


def test_odd_yaml_is_refused_with_its_place(tmp_path: Path) -> None:
    assert refused(tmp_path, "a: [1\nb: 2\n")[0].startswith("2:")
    assert refused(tmp_path, "a: *nowhere\n")[0].startswith("1:4")
    assert refused(tmp_path, "base: &b {x: 1}\nc:\n  <<: *b\n")[0].startswith("3:3 c merge keys")
    assert refused(tmp_path, "? [a]\n: 1\n")[0] == "1:3  a key must be a word"
    assert "mapping of sections" in refused(tmp_path, "- a\n")[0]
    assert "mapping of sections" in refused(tmp_path, "\n")[0]
    assert "another document" in refused(tmp_path, "a: 1\n---\nb: 2\n")[0]


def test_files_that_are_no_text_or_too_large_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.yml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(UnreadableError) as caught:
        load(path)
    assert caught.value.problems[0].line == 2
    path.write_bytes(b"a: " + b"x" * LARGEST)
    with pytest.raises(UnreadableError, match="larger than"):
        load(path)
    for missing in (tmp_path / "none.yml", tmp_path):
        with pytest.raises(UnreadableError, match="could not be read"):
            load(missing)


def test_json_is_recognised_without_its_suffix(tmp_path: Path) -> None:
    assert load(written(tmp_path, '// c\n{"a": "b" // d\n}', "manifest")).data == {"a": "b"}
    assert load(written(tmp_path, "a: b\n", "manifest")).data == {"a": "b"}
    assert load(written(tmp_path, "{a: b}\n", "m.yaml")).data == {"a": "b"}


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    assert load(written(tmp_path, "\ufeffa: b\n")).data == {"a": "b"}
    assert load(written(tmp_path, '\ufeff{"a": "b"}', "m.json")).data == {"a": "b"}


@pytest.mark.parametrize("text", ["a\0b", "a\rb", "a\nb", "a\x1bb", "a\tb", "\ud800", "trixie\n", "\x7f"])
def test_control_characters_are_refused(tmp_path: Path, text: str) -> None:
    for path in ("name", "system.hostname"):
        error = error_at(check_data(tmp_path, with_key(path, text)), path)
        assert "control characters" in error.message or "one line" in error.message
        assert text not in error.text() and error.text().encode()
    assert check_data(tmp_path, with_key(f"system.a{text}", "x")).errors
