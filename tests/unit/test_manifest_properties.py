# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a file holds: errors or a canonical form, never a traceback, and never a half of both."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifest_tools import GOOD, NOW, check, check_data, check_yaml, good

from debfleet.common.manifest import names
from debfleet.common.manifest.formats import APT_LINE
from debfleet.common.manifest.problems import Positions, dotted, redacted
from debfleet.common.manifest.schema import filled, merged

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)
SOME = """
name provider volume partitions root size type plugins system image packages remote install sources commands files src
dst virtualization credentials partition_table enabled cloud_init admin_user password bootstrapper tags kvm ec2 gpt none
2GiB remaining 50% extends plugin_paths sed backports user_packages flags mode file_copy {system.release} { var/tmp
"""
WORDS = st.sampled_from(SOME.split())
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=5),
    max_leaves=15,
)
TOP = ["name", "provider", "system", "volume", "packages", "plugins", "bootstrapper", "image", "credentials", "tags"]
TOP += ["virtualization", "bootstrapdir", "plugin_paths", "extends", "schema_version", "reproducible"]


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested data."""
    found = [at] if at else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += paths(item, (*at, key))
    return found


def told(checked: Any) -> None:
    """A check has a manifest or errors, and all of it can be printed."""
    assert (checked.manifest is None) == bool(checked.errors)
    for problem in (*checked.errors, *checked.notices):
        assert problem.message and problem.file
        problem.text().encode()
        assert problem.line >= 0 and set(problem.to_dict()) == {
            "file", "path", "line", "column", "value", "message", "allowed", "hint",
        }  # fmt: skip
    json.dumps(checked.to_dict()).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifests")


@QUICK
@given(st.dictionaries(st.sampled_from(TOP) | st.text(max_size=8), VALUES, max_size=8))
def test_any_mapping(folder: Path, data: dict[str, Any]) -> None:
    told(check_data(folder, data))


@QUICK
@given(st.data())
def test_a_good_manifest_with_anything_somewhere(folder: Path, data: st.DataObject) -> None:
    plugins = {
        "cloud_init": {"groups": ["a"]},
        "commands": {"commands": [["ls", "-l"]]},
        "root_password": {"password": "x"},
    }
    plugins |= {"file_copy": {"files": [{"src": ".", "dst": "/x"}]}, "expand_root": {}}
    manifest = good(plugins=plugins, packages={"install": ["vim"], "sources": {"x": ["deb http://h x main"]}})
    for _ in range(data.draw(st.integers(1, 3))):
        places = paths(manifest)
        *above, last = data.draw(st.sampled_from(places))
        at: Any = manifest
        for key in above:
            at = at[key]
        at[last] = data.draw(VALUES)
    told(check_data(folder, manifest))


@QUICK
@given(st.text(max_size=200) | st.binary(max_size=200), st.sampled_from(["m.yml", "m.json", "m"]))
def test_any_text(folder: Path, text: str | bytes, name: str) -> None:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    told(check(path))


@QUICK
@given(st.data())
def test_a_good_text_with_characters_changed(folder: Path, data: st.DataObject) -> None:
    text = "name: x\nprovider:\n  name: kvm\nvolume:\n  size: 2GiB\n  partitions: {type: gpt, root: {}}\n"
    at = data.draw(st.integers(0, len(text)))
    new = data.draw(st.text(st.sampled_from("{}[]:,&*!|>-?#'\"%@` \n\t\x00aé"), max_size=4))
    told(check_yaml(folder, text[:at] + new + text[at + data.draw(st.integers(0, 5)) :]))


@QUICK
@given(st.text(max_size=30))
def test_any_name_that_is_taken_is_one_folder(folder: Path, name: str) -> None:
    checked = check_data(folder, good(name=name))
    told(checked)
    if checked.manifest:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}", checked.manifest.name)


@QUICK
@given(
    st.sampled_from(["B", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "", "G", "%", "gib"]),
    st.integers(-5, 10**18),
)
def test_any_size(folder: Path, unit: str, count: int) -> None:
    volume = {"backing": "raw", "partitions": {"type": "gpt", "root": {"size": f"{count}{unit}"}}}
    told(check_data(folder, {**GOOD, "volume": volume}))


@given(st.text(max_size=40), st.dictionaries(st.text("ab.", max_size=3), st.text(max_size=5), max_size=3))
def test_interpolation_leaves_other_text_alone(text: str, values: dict[str, str]) -> None:
    new, unknown = names.interpolate(text, values, NOW)
    if "{" not in text:
        assert (new, unknown) == (text, [])


@given(st.text(max_size=60))
def test_no_apt_line_spans_lines_or_leaves_its_file(line: str) -> None:
    for text in (line, f"deb http://h/{line} x main", f"deb http://h/ x main{line}", f"deb [{line}] http://h/ x main"):
        if APT_LINE.match(text):
            assert "\n" not in text and not set(text) & set("'\"`$;|<>\\")


@given(VALUES)
def test_what_is_shown_can_be_printed(value: Any) -> None:
    json.dumps(redacted(value), ensure_ascii=False).encode()
    dotted(("a", 1, str(value))).encode()


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_an_empty_schema_changes_nothing(value: dict[str, Any]) -> None:
    assert filled({}, value) == value
    assert merged({}, value) == value


def test_moves_are_followed_to_where_a_key_was_written() -> None:
    positions = Positions("f")
    positions.move(("a",), ("b", "c"))
    positions.move(("b", "c", "d"), ("e",))
    assert positions.written(("e", 1)) == ("a", "d", 1)
    assert positions.written(("b", "c", "x")) == ("a", "x")
