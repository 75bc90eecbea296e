# SPDX-License-Identifier: GPL-3.0-or-later
"""Committing: of all who write the same attempt, or the same final result, exactly one counts, for ever.

The files of an attempt come first, then its result.json, which is written only where there is none: who sees it, sees
everything. No file is ever written over. A writer that died left its log where another wants to put its own: then the
other puts its files below a name of its own, and its result.json says so. A store that can't refuse the second of two
long writes at once (Store.sure) gets such names always.

To commit the same again does no harm, and finishes what a crash cut off.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from debfleet.common.errors import DebfleetError

from . import index
from .paths import RESULT, Place
from .result import File, Result, final_of
from .store import AbsentError, Store

CHUNK = 1 << 20


@dataclass(frozen=True)
class Committed:
    """The result that counts, and whether it is the one that was given."""

    result: Result
    ours: bool


def commit(store: Store, result: Result, files: Mapping[str, Path], token: str) -> Committed:
    """Commit an attempt with its files, or a final result, whose files are those of its attempt.

    :param result: one with the names of its files below the attempt's folder, as `log.zst`; in a final result they are
        below the task's folder.
    :param files: where these files are.
    :param token: a name of this writer's own; the same when it tries again.
    """
    placed: list[str] = []
    if not result.final:
        # Only what surely stands for ever may be believed before something was written.
        if store.sure and (there := read(store, result.key)) is not None:
            return Committed(there, _same(there, result))
        paths = [_placed(store, result, one, files[one.file], token, placed) for one in result.files]
        result = result.with_files(paths)
    committed = _written(store, result)
    counted = {f"{result.place.path}/{one.file}" for one in committed.result.files}
    store.delete(key for key in placed if key not in counted)
    if result.final:
        index.add(store, committed.result)
    return committed


def _written(store: Store, result: Result) -> Committed:
    """Write a result.json where there is none; the one that stands then."""
    raw = result.to_bytes()
    if store.put_new(result.key, raw):
        return Committed(result, ours=True)
    stands = store.get(result.key)
    return Committed(Result.from_bytes(stands, result.key), stands == raw)


def commit_final(store: Store, place: Place, most: int = 2) -> Committed | None:
    """Commit the final result that the committed attempts of a task give; None while they give none yet."""
    final = final_of(attempts(store, place), most)
    return commit(store, final, {}, "") if final else None


def attempts(store: Store, place: Place) -> list[Result]:
    """The committed attempts of a task, in order. What has no result.json is none."""
    folder = f"{place.path}/attempts/"
    found = [read(store, f"{folder}{name}/{RESULT}") for name in store.folders(folder)]
    return sorted((one for one in found if one), key=lambda one: (one.attempt, one.interruption))


def read(store: Store, key: str) -> Result | None:
    """The result at a key; None where there is none."""
    try:
        return Result.from_bytes(store.get(key), key)
    except AbsentError:
        return None


def _same(there: Result, result: Result) -> bool:
    """Whether a committed attempt is the one that is to be committed: of the same content, wherever its files lie."""
    mine = tuple((one.size, one.sha256) for one in result.files)
    return mine == tuple((one.size, one.sha256) for one in there.files) and (
        replace(there, log=None, artifacts=()) == replace(result, log=None, artifacts=())
    )


def _placed(store: Store, result: Result, file: File, source: Path, token: str, placed: list[str]) -> File:
    """Put a file of an attempt where there is none, and tell where that is."""
    below = result.folder.removeprefix(f"{result.place.path}/")
    for folder in (below, f"{below}/{token}") if store.sure else (f"{below}/{token}",):
        key = f"{result.place.path}/{folder}/{file.file}"
        if store.put_new(key, source):
            placed.append(key)
            return replace(file, file=f"{folder}/{file.file}")
        if _sha256(store, key) == file.sha256:
            return replace(file, file=f"{folder}/{file.file}")
    raise DebfleetError("a file of an attempt is there already, with another content", where=key)


def _sha256(store: Store, key: str) -> str:
    digest = hashlib.sha256()
    with store.open(key) as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()
