# SPDX-License-Identifier: GPL-3.0-or-later
"""What benchmarks write, and the page that is made of it. No figure is asserted here."""

from __future__ import annotations

import copy
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from debfleet.common import mounts
from debfleet.common.errors import DebfleetError
from debfleet.docs import performance


@pytest.fixture(scope="module")
def harness(repo: Path) -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(repo / "benchmarks")
        import harness

        yield harness
        del sys.modules["harness"]


@pytest.fixture(scope="module")
def told(harness: ModuleType) -> dict[str, Any]:
    """A measurement of next to nothing."""
    subjects = [
        harness.Subject("peer", lambda _: time.sleep(0.02), version="peer 1.2"),
        harness.Subject(
            "debfleet", lambda _: time.sleep(0.01), lambda _: harness.Look({"step": 0.25}, {"modules": 15})
        ),
    ]
    measured = harness.interleaved(subjects, 2)
    ratios = {"debfleet ÷ peer": harness.ratio(measured["debfleet"], measured["peer"], 1.5)}
    limits = {"modules": harness.limit(15, "executions", 14)}
    document: dict[str, Any] = harness.document("image", measured, ratios, limits)
    return document


def written(told: dict[str, Any], folder: Path) -> Path:
    path = folder / "image.json"
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def test_what_is_written_is_what_the_schema_says(told: dict[str, Any], tmp_path: Path) -> None:
    assert performance.read(written(told, tmp_path)) == told
    assert [len(run["seconds"]) for run in told["runs"]] == [2, 2]
    assert told["limits"]["modules"]["ok"] is False


@pytest.mark.parametrize("key", ["name", "command", "version", "machine", "runs", "ratios", "limits"])
def test_the_schema_wants_what_the_design_promises(key: str, told: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=key):
        performance.read(written({name: value for name, value in told.items() if name != key}, tmp_path))


def test_the_schema_knows_every_key(told: dict[str, Any], tmp_path: Path) -> None:
    odd = copy.deepcopy(told)
    odd["runs"][0]["sconds"] = [1]
    with pytest.raises(ValueError, match="sconds"):
        performance.read(written(odd, tmp_path))


def test_subjects_are_measured_in_turn(harness: ModuleType) -> None:
    order: list[str] = []
    harness.interleaved([harness.Subject(name, lambda _, name=name: order.append(name)) for name in "ab"], 3)
    assert "".join(order) == "ababab"


def test_a_result_that_is_wrong_has_no_figure(harness: ModuleType) -> None:
    def wrong(_: Path) -> Any:
        raise ValueError("not the same packages")

    with pytest.raises(ValueError, match="not the same"):
        harness.interleaved([harness.Subject("a", lambda _: None, wrong)], 1)


def test_a_folder_with_a_mount_in_it_stays(
    harness: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "mounts_below", lambda folder: [f"{folder}/tree/dev"])
    with pytest.raises(DebfleetError, match="mounted"), harness.scratch(tmp_path) as folder:
        (folder / "tree").mkdir()
    assert (folder / "tree").is_dir()


def test_the_page_names_command_goals_and_what_was_missed(told: dict[str, Any]) -> None:
    said = performance.page("", [told])
    assert "`make bench-image" in said
    assert "| modules | 15 executions | at most 14 | **missed** |" in said
    assert "peer 1.2" in said and re.search(r"  step +0\.2  █+", said)


def test_the_page_keeps_what_was_not_measured_this_time(told: dict[str, Any]) -> None:
    before = performance.page("", [{**told, "name": "aaa"}, told])
    again = performance.page(before, [{**told, "version": "9.9.9"}])
    assert performance.sections(again)["aaa"] == performance.sections(before)["aaa"]
    assert performance.sections(again)["image"].count("9.9.9") == 1
    assert performance.page(before, []) == before


def test_every_benchmark_has_a_target_and_is_explained(repo: Path) -> None:
    files = [path for path in (repo / "benchmarks").glob("*.py") if "harness.interleaved" in path.read_text()]
    scripts = [path.stem.replace("_", "-") for path in files]
    assert sorted(scripts) == sorted(performance.EXPLAINED)
    makefile = (repo / "Makefile").read_text(encoding="utf-8")
    assert all(f"\nbench-{name}: " in makefile for name in scripts)


def test_the_page_says_where_a_goal_is_met_by_chance_and_the_machine_was_busy(told: dict[str, Any]) -> None:
    scattered = {"value": 1.3, "goal": 1.5, "better": "lower", "ok": True, "rounds": [1.7, 1.2, 1.3]}
    busy = {**told, "ratios": {"a ÷ b": scattered}, "machine": {**told["machine"], "load": 3.3}}
    said = performance.page("", [busy])
    assert "met by the medians, but not so in every round: 1.7, 1.2, 1.3" in said
    assert "not quiet" in said
    assert "not quiet" not in performance.page("", [{**busy, "machine": {**told["machine"], "load": 0.4}}])
