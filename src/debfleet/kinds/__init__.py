# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of tasks: what a task of each is about, and which options it takes.

A kind is a module of its own with a `Kind`, found by an entry point of the group `debfleet.kinds`, whose name is the
kind's: another package brings one without a change here. Nothing but its own module knows what a kind is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import metadata
from typing import Any, Literal

from debfleet.common.errors import FindingsError

GROUP = "debfleet.kinds"
Row = tuple[str, dict[str, Any]]  # of one task: its architecture, and its options


@dataclass(frozen=True)
class Entry:
    """A package as an index or a database has it.

    :param architectures: of a source the words of its field Architecture; of a binary package its one architecture.
    :param size: of the source package's files, or of the .deb, in bytes; None where that isn't told.
    """

    package: str
    version: str
    architectures: tuple[str, ...] = ("any",)
    component: str = "main"
    size: int | None = None


@dataclass(frozen=True)
class Kind:
    """What there is to know about a kind of tasks before one is run.

    :param about: whether a task is about a source package or a binary package.
    :param rows: for a package, the architectures that were asked for and the options: the tasks there are.
    :param options: JSON Schema of each option, by name.
    :param builds: whether the build times that wanna-build recorded say how long a task takes.
    """

    name: str
    about: Literal["source", "binary"]
    rows: Callable[[Entry, Sequence[str], Mapping[str, Any]], Iterable[Row]]
    options: Mapping[str, Any] = field(default_factory=dict)
    builds: bool = False

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the options of a task."""
        return {"type": "object", "additionalProperties": False, "properties": dict(self.options)}


@cache
def _entry_points() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=GROUP)}


def names() -> list[str]:
    """The kinds that are installed."""
    return sorted(_entry_points())


def find(name: str) -> Kind:
    """The kind of this name. Raises FindingsError, with those that there are, when there is none."""
    points = _entry_points()
    if name not in points:
        close = get_close_matches(name, points, 1)
        known = ", ".join(sorted(points)) or "none; make setup installs ours"
        hint = f"did you mean {close[0]}?" if close else f"those that there are: {known}"
        raise FindingsError(f"there is no kind of task {name}", hint=hint)
    kind = points[name].load()
    assert isinstance(kind, Kind), f"{points[name].value} is no Kind"
    return kind
