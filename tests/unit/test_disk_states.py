# SPDX-License-Identifier: GPL-3.0-or-later
"""Volume, map and partitions: what may follow on what."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from debfleet.common.disk import assemble, layout, states
from debfleet.common.disk.states import MAP, PARTITION, VOLUME, Action, DiskState, StateError

PARTITIONS = {"type": "gpt", "root": {"size": "1GiB", "filesystem": "ext4"}, "swap": {"size": "1GiB"}}
LAYOUT = layout.plan({"size": None, "partitions": PARTITIONS}, firmware="uefi", bootloader="grub", seed="s")
NOTHING = DiskState("nonexistent", "nonexistent", {"esp": "nonexistent", "root": "nonexistent", "swap": "nonexistent"})
MAPPED = DiskState("created", "written", {"esp": "created", "root": "created", "swap": "created"})
READY = DiskState("created", "written", {"esp": "formatted", "root": "created", "swap": "formatted"})
DONE = DiskState("created", "written", {"esp": "filled", "root": "filled", "swap": "formatted"})

LEGAL = {
    ("volume", "create", "nonexistent"): "created",
    ("volume", "create", "created"): "created",
    ("partition map", "write", "nonexistent"): "written",
    ("partition", "format", "created"): "formatted",
    ("partition", "format", "formatted"): "formatted",
    ("partition", "make and fill", "created"): "filled",
    ("partition", "make and fill", "formatted"): "filled",
    ("partition", "make and fill", "filled"): "filled",
    ("partition", "fill", "formatted"): "filled",
    ("partition", "fill", "filled"): "filled",
}
EVERY = [
    (machine, action, state)
    for machine in (VOLUME, MAP, PARTITION)
    for action, state in product(machine.moves, ("nonexistent", "created", "written", "formatted", "filled"))
]


@pytest.mark.parametrize(("machine", "action", "state"), EVERY)
def test_every_transition_is_known_as_legal_or_refused(machine: states.Machine, action: str, state: str) -> None:
    result = LEGAL.get((machine.kind, action, state))
    if result:
        assert machine.after(action, state) == result
    else:
        with pytest.raises(StateError, match=f"could not {action} the {machine.kind} root: it is {state}"):
            machine.after(action, state, "root")


def plan(current: DiskState, goal: str) -> list[str]:
    actions = states.plan(current, LAYOUT, goal, assemble.made_empty())
    return [f"{action.verb} {action.name or action.kind}" for action in actions]


def test_each_goal_has_its_steps() -> None:
    assert plan(NOTHING, "partitioned") == ["create volume", "write partition map"]
    assert plan(MAPPED, "prepared") == ["format esp", "format swap"]
    assert plan(READY, "filled") == ["fill esp", "make and fill root"]


def test_what_is_there_already_takes_no_step_but_content_is_always_written_anew() -> None:
    assert plan(MAPPED, "partitioned") == []
    assert plan(READY, "prepared") == []
    assert plan(DONE, "prepared") == []
    assert plan(DONE, "filled") == ["fill esp", "make and fill root"]


def test_a_disk_of_another_map_is_made_anew() -> None:
    other = DiskState("created", "nonexistent", NOTHING.partitions)
    assert plan(other, "partitioned") == ["create volume", "write partition map"]


@pytest.mark.parametrize(
    ("current", "goal", "words"),
    [
        (NOTHING, "prepared", "its partition map is nonexistent"),
        (NOTHING, "filled", "its partition map is nonexistent"),
        (MAPPED, "filled", "could not fill the partition esp: it is created"),
    ],
)
def test_a_goal_out_of_turn_is_refused(current: DiskState, goal: str, words: str) -> None:
    with pytest.raises(StateError, match=words):
        plan(current, goal)


def test_a_goal_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="partitioned, prepared, filled, not mounted"):
        plan(MAPPED, "mounted")


def test_a_new_volume_forgets_what_it_held() -> None:
    assert DONE.after(Action("create", "volume")) == DiskState("created", "nonexistent", NOTHING.partitions)


def test_no_tool_runs_for_a_step_out_of_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("debfleet.common.run.subprocess.Popen", lambda *_, **__: pytest.fail("a tool ran"))
    current = assemble.read_current(tmp_path / "disk.raw", LAYOUT)
    assert current == NOTHING
    with pytest.raises(StateError):
        states.plan(current, LAYOUT, "filled", assemble.made_empty())
