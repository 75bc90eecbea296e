# SPDX-License-Identifier: GPL-3.0-or-later
"""Several lists made into one: each task once, and told what the lists disagree about.

Estimates are no disagreement: the better founded one is taken, and of two as good the longer time and the larger need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from debfleet.common.errors import FindingsError

from .task import CLASSES, Identity, Task

TRUST = ("unknown", "size", "results", "database", "given")  # the last is the best founded
COMPARED = ("options", "requester", "cause", "logfile", "run")
SHOWN = 20


@dataclass(frozen=True)
class Conflict:
    """What two lists say differently of one task: the key, and what each says, in the lists' order."""

    path: str
    key: str
    first: object
    other: object

    def text(self) -> str:
        """As a line for the user."""
        return f"{self.path}: {self.key}: {self.first!r} and {self.other!r}"


@dataclass(frozen=True)
class Merged:
    """The tasks, each once, in the order in which the lists have them first; and the conflicts that were settled."""

    tasks: list[Task]
    conflicts: list[Conflict]


def merge(lists: Sequence[Sequence[Task]], prefer: Literal["", "first", "last"] = "") -> Merged:
    """Bring lists together.

    :param prefer: which list counts where they disagree.
    :raises FindingsError: with all conflicts, where they disagree and none is preferred.
    """
    merged: dict[Identity, Task] = {}
    conflicts = []
    for task in (task for one in lists for task in one):
        before = merged.setdefault(task.identity, task)
        found = [
            Conflict(task.path, key, getattr(before, key), getattr(task, key))
            for key in COMPARED
            if getattr(before, key) != getattr(task, key)
        ]
        conflicts += found
        kept = task if found and prefer == "last" else before
        merged[task.identity] = _better(kept, before, task)
    if conflicts and not prefer:
        texts = [conflict.text() for conflict in conflicts[:SHOWN]]
        more = len(conflicts) - len(texts)
        raise FindingsError(
            "the lists disagree" + ("" if len(conflicts) == 1 else f" in {len(conflicts)} things"),
            why="\n".join([*texts, *([f"and {more} more"] if more else [])]),
            hint="--prefer first or --prefer last says which list counts",
        )
    return Merged(list(merged.values()), conflicts)


def _better(kept: Task, one: Task, other: Task) -> Task:
    """A task with the better estimates of two."""
    best = max(one, other, key=lambda task: (TRUST.index(task.esttime_from), task.esttime))
    needs = [task.memory for task in (one, other) if task.memory is not None]
    # A class that follows from memory that was seen is better founded than one that was guessed.
    told = [task for task in (one, other) if task.memory is not None] or [one, other]
    size_class = max((task.size_class for task in told), key=CLASSES.index)
    return replace(
        kept,
        esttime=best.esttime,
        esttime_from=best.esttime_from,
        memory=max(needs) if needs else None,
        size_class=size_class,
    )


def versions(tasks: Sequence[Task]) -> list[str]:
    """Notes on packages that are there in several versions: none is wrong, but one may be meant."""
    found: dict[tuple[str, ...], list[str]] = {}
    for task in tasks:
        found.setdefault(task.identity[:4], []).append(task.version)
    return [
        f"{'/'.join(key)} is there in {len(said)} versions: {', '.join(said)}"
        for key, said in found.items()
        if len(said) > 1
    ]
