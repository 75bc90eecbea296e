# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing a run: its rows in the indexes first, then its results, so that no index names what is gone."""

from __future__ import annotations

from dataclasses import dataclass

from debfleet.common.errors import DebfleetError

from . import index
from .paths import check_name, final_of
from .store import Store


@dataclass(frozen=True)
class Removal:
    """What a run has in a store: final results, files and their bytes."""

    results: int
    files: int
    size: int


def look(store: Store, run: str) -> Removal:
    """What removing a run would delete. Raises DebfleetError when there is no such run."""
    check_name(run)
    found = list(store.files(f"{run}/"))
    if not found and not list(store.files(f"{index.TOP}/run/{run}/")):
        known = ", ".join(runs(store)) or "none"
        raise DebfleetError(f"there are no results of a run {run}", where=store.address, hint=f"runs: {known}")
    finals = sum(final_of(entry.key) is not None for entry in found)
    return Removal(finals, len(found), sum(entry.size for entry in found))


def remove(store: Store, run: str) -> Removal:
    """Delete a run. Interrupted, it may be called again."""
    removal = look(store, run)
    for key, row in list(index.listed(store, f"{index.TOP}/run/{run}/")):
        store.delete([*(other for other in index.keys(row) if other != key), key])
    store.delete(entry.key for entry in list(store.files(f"{run}/")))
    return removal


def runs(store: Store) -> list[str]:
    """The runs that a store has results of."""
    return [name for name in store.folders() if not name.startswith(".")]
