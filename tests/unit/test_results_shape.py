# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results lie, what they say, which attempt counts, and the rows of the indexes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_strategies import NAMES, PLACES, RESULTS, place, result
from task_lists import task

from debfleet.common.errors import DebfleetError
from debfleet.results import index, paths
from debfleet.results.paths import Attempt, Place
from debfleet.results.result import FAILURE, INTERRUPTED, SUCCESS, File, Result, final_of

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/result.json").read_text(encoding="utf-8"))


@settings(deadline=None)
@given(PLACES)
def test_a_path_tells_its_place(where: Place) -> None:
    assert Place.parse(where.path) == where
    assert paths.final_of(where.result) == where
    assert paths.final_of(f"{where.attempt(1)}/result.json") is None


def test_the_place_of_a_task_is_its_identity() -> None:
    one = replace(task("libstdc++", "1:2.0~rc1+b2"), run="first")
    assert Place.of(one).path == f"first/{one.path}"


@pytest.mark.parametrize("path", ["", "a/b", "first/rebuild/sid/amd64/hello/..", "f/r/s/a/h/1/2", "a/b/c/d/e/x\0y"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(DebfleetError):
        Place.parse(path)


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_an_encoded_key_comes_back(names: list[str]) -> None:
    key = "/".join(names)
    assert paths.decoded(paths.encoded(key)) == key
    assert set(paths.encoded(key)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%/")


def test_versions_are_encoded() -> None:
    assert paths.encoded("g++-12/1:12.2.0-14+b1~x") == "g%2B%2B-12/1%3A12.2.0-14%2Bb1~x"


@settings(deadline=None)
@given(st.integers(1, 99), st.integers(0, 9))
def test_an_attempts_folder_tells_which_it_is(number: int, interruption: int) -> None:
    name = place().attempt(number, interruption).rpartition("/")[2]
    assert Attempt.parse(name) == Attempt(number, interruption)


@pytest.mark.parametrize("name", ["0", "01", "x", "1-interrupted-0", "1-interrupted-", "1/2", "１"])
def test_what_is_no_attempt(name: str) -> None:
    assert Attempt.parse(name) is None


@settings(deadline=None)
@given(RESULTS)
def test_a_result_comes_back_and_is_valid(one: Result) -> None:
    assert Result.from_bytes(one.to_bytes(), "here") == one
    jsonschema.validate(json.loads(one.to_bytes()), SCHEMA)


def test_a_whole_result_is_valid() -> None:
    log = File("attempts/2/log.zst", 10, "0" * 64)
    first = result(outcome=FAILURE, log=log)
    final = final_of([first, result(outcome=INTERRUPTED, interruption=1), result(attempt=2, log=log)])
    assert final is not None
    jsonschema.validate(json.loads(final.to_bytes()), SCHEMA)
    assert Result.from_bytes(final.to_bytes(), "here") == final


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[1]", b"null", b"\xff", b'{"schema_version": 2}', b'{"schema_version": 1, "run": "x"}', b"[" * 9999],
)
def test_what_is_no_result_is_told(raw: bytes) -> None:
    with pytest.raises(DebfleetError, match="could not read a result"):
        Result.from_bytes(raw, "there")


def test_a_path_in_a_result_is_no_way_out() -> None:
    said = result().to_dict()
    with pytest.raises(DebfleetError, match="could not read a result"):
        Result.from_bytes(json.dumps({**said, "version": "../../x"}).encode(), "there")


def test_the_first_success_counts() -> None:
    good, bad, alone = result(), result(outcome=FAILURE), result(attempt=2)
    final = final_of([good])
    assert final and final.final and final.attempt == 1 and "first attempt" in final.final.why
    assert final.key == "first/rebuild/trixie/amd64/hello/2.10-5/result.json"
    final = final_of([alone, bad])
    assert final and final.final and final.attempt == 2 and "alone" in final.final.why
    assert [one["outcome"] for one in final.final.attempts] == [FAILURE, SUCCESS]


def test_one_failure_is_no_final_result_and_two_are() -> None:
    bad = result(outcome=FAILURE)
    cut = result(outcome=INTERRUPTED, interruption=1, attempt=2)
    assert final_of([]) is None
    assert final_of([bad]) is None
    assert final_of([bad, cut]) is None
    final = final_of([cut, bad, replace(bad, attempt=2)])
    assert final and final.final and final.attempt == 2 and len(final.final.attempts) == 3


@settings(deadline=None)
@given(PLACES, RESULTS)
def test_a_row_comes_back_from_its_name(where: Place, one: Result) -> None:
    row = index.Row.of(replace(one, place=where))
    assert index.Row.parse(row.name()) == row
    assert all(len(name) <= 255 for name in row.name().split("/"))


@settings(deadline=None)
@given(NAMES.filter(lambda name: len(name) > 3), st.integers(40, 60))
def test_a_long_row_is_cut_and_comes_back(name: str, times: int) -> None:
    row = index.Row.of(result(place(version=f"1{'+' * times * 3}", package=name.lower() * times, run=name)))
    assert index.Row.parse(row.name()) == row
    assert "/" in row.name()
    assert all(len(piece) <= 255 for piece in row.name().split("/"))


def test_what_is_no_row() -> None:
    for name in ("", "x.row", "a,b,c.row", index.Row.of(result()).name().removesuffix(".row")):
        with pytest.raises(ValueError):
            index.Row.parse(name)
