# SPDX-License-Identifier: GPL-3.0-or-later
"""The eleven phases of a build, and the order of the roles that join each of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter

PHASES = (
    "preparation",
    "volume_creation",
    "volume_preparation",
    "volume_mounting",
    "os_installation",
    "package_installation",
    "system_modification",
    "system_cleaning",
    "volume_unmounting",
    "image_registration",
    "cleaning",
)
FIRST = "image"  # the role that has what every image needs


class OrderError(ValueError):
    """A role's wish about its place in a phase can't be met."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A half sentence that names the closest known word, or nothing."""
    close = get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


def order(phase: str, wishes: Mapping[str, Mapping[str, Iterable[str]]], known: Collection[str]) -> list[str]:
    """Order the roles of one phase.

    :param wishes: for each role that joins the phase, the roles it comes `after` and `before`.
    :param known: every role that exists; one that exists and doesn't join is no error, one that doesn't exist is.
    :returns: the roles in order: the image's own first among equals, then by name.
    """
    graph: dict[str, set[str]] = {role: set() for role in wishes}
    for role, wish in wishes.items():
        for word, others in wish.items():
            if word not in ("after", "before"):
                raise OrderError(f"{role}: {phase}: unknown word {word}; allowed are after and before")
            for other in others:
                if other not in known:
                    raise OrderError(f"{role}: {phase}: {word}: there is no role {other}{did_you_mean(other, known)}")
                if other in wishes:
                    first, second = (other, role) if word == "after" else (role, other)
                    graph[second].add(first)
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        raise OrderError(f"{phase}: these wait for each other: {' -> '.join(reversed(error.args[1]))}") from error
    ordered: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=lambda role: (role != FIRST, role))
        ordered.append(ready.pop(0))
        sorter.done(ordered[-1])
    return ordered
