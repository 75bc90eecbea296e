# SPDX-License-Identifier: GPL-3.0-or-later
"""Volume, map and partitions as state machines: what may be done to each is known before any tool runs.

A state is read from the disk itself, never remembered. A partition whose filesystem is made together with its content
(ext) goes from created to filled at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import DebfleetError
from .shape import Layout

NONEXISTENT, CREATED, WRITTEN, FORMATTED, FILLED = "nonexistent", "created", "written", "formatted", "filled"
PARTITIONED, PREPARED = "partitioned", "prepared"
GOALS = (PARTITIONED, PREPARED, FILLED)


class StateError(DebfleetError):
    """Something was asked of a volume, map or partition that its state doesn't allow."""


@dataclass(frozen=True)
class Machine:
    """The actions that a kind of thing knows: from which states, and to which."""

    kind: str
    moves: Mapping[str, tuple[tuple[str, ...], str]]

    def after(self, action: str, state: str, name: str = "") -> str:
        """The state after an action. Raises StateError where the action isn't allowed now."""
        allowed, result = self.moves[action]
        if state not in allowed:
            thing = f"{self.kind} {name}".strip()
            raise StateError(
                f"could not {action} the {thing}: it is {state}", hint=f"it has to be {' or '.join(allowed)} first"
            )
        return result


VOLUME = Machine("volume", {"create": ((NONEXISTENT, CREATED), CREATED)})
MAP = Machine("partition map", {"write": ((NONEXISTENT,), WRITTEN)})
PARTITION = Machine(
    "partition",
    {
        "format": ((CREATED, FORMATTED), FORMATTED),
        "make and fill": ((CREATED, FORMATTED, FILLED), FILLED),
        "fill": ((FORMATTED, FILLED), FILLED),
    },
)


@dataclass(frozen=True)
class Action:
    """One step: what is done to the volume, the map, or the partition `name`."""

    verb: str
    kind: str
    name: str = ""


@dataclass(frozen=True)
class DiskState:
    """What a disk is now."""

    volume: str
    map: str
    partitions: Mapping[str, str]

    def after(self, action: Action) -> DiskState:
        """What it is after an action. Raises StateError."""
        if action.kind == VOLUME.kind:
            volume = VOLUME.after(action.verb, self.volume)
            return DiskState(volume, NONEXISTENT, dict.fromkeys(self.partitions, NONEXISTENT))
        if action.kind == MAP.kind:
            if self.volume != CREATED:
                raise StateError("could not write the partition map: the volume is nonexistent")
            return DiskState(self.volume, MAP.after(action.verb, self.map), dict.fromkeys(self.partitions, CREATED))
        state = PARTITION.after(action.verb, self.partitions[action.name], action.name)
        return replace(self, partitions={**self.partitions, action.name: state})


def plan(current: DiskState, layout: Layout, goal: str, made_empty: Sequence[str]) -> list[Action]:
    """The steps from what a disk is to a goal: partitioned, prepared or filled.

    :param made_empty: the filesystems that are made first and filled later.
    :raises StateError: the disk can't come to the goal from here; nothing was touched.
    """
    actions: list[Action] = []
    if goal == PARTITIONED:
        if current.volume != CREATED or current.map != WRITTEN:
            actions = [Action("create", VOLUME.kind), Action("write", MAP.kind)]
    elif goal == PREPARED:
        for part in layout.partitions:
            if part.filesystem in made_empty and current.partitions[part.name] not in (FORMATTED, FILLED):
                actions.append(Action("format", PARTITION.kind, part.name))
    elif goal == FILLED:
        for part in layout.partitions:
            if part.mount:
                verb = "fill" if part.filesystem in made_empty else "make and fill"
                actions.append(Action(verb, PARTITION.kind, part.name))
    else:
        raise ValueError(f"a disk is made {', '.join(GOALS)}, not {goal}")
    if goal != PARTITIONED and current.map != WRITTEN:
        raise StateError(
            f"could not make the disk {goal}: its partition map is {current.map}", hint=f"make it {PARTITIONED} first"
        )
    outcome(current, actions)
    return actions


def outcome(current: DiskState, actions: Sequence[Action]) -> DiskState:
    """What a disk is after the steps. Raises StateError for the first that isn't allowed."""
    for action in actions:
        current = current.after(action)
    return current
