# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest that is laid over another one: mappings are merged, all else is replaced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from .files import absolute
from .load import Decrypt, Loaded
from .load import load as load_one
from .problems import Positions, UnreadableError

MOST = 8


def load(path: Path, *, decrypt: Decrypt | None = None) -> Loaded:
    """A manifest with all that it extends. Raises UnreadableError, also for a circle and for a missing file."""
    loaded = load_one(path, decrypt=decrypt)
    chain, seen = [loaded], [path.absolute()]
    while (above := chain[-1].data.get("extends")) is not None:
        positions = chain[-1].positions
        if not isinstance(above, str) or "\0" in above:
            break  # the schema says what it must be
        file = absolute(above, seen[-1].parent)
        if file in seen or len(seen) >= MOST:
            message = "extends itself" if file in seen else f"more than {MOST} manifests on top of each other"
            raise UnreadableError(positions.problem(("extends",), message, value=above))
        try:
            chain.append(load_one(file, decrypt=decrypt))
        except UnreadableError as error:
            told = positions.problem(("extends",), "what it extends can't be read", value=above)
            raise UnreadableError(told, *error.problems) from error
        seen.append(file)
    low = chain.pop()
    while chain:
        high = chain.pop()
        low = Loaded(laid_over(low.data, high.data), _joined(low.positions, high.positions))
    return replace(low, files=tuple(seen))


def laid_over(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """The lower mapping with the higher one's keys."""
    out = dict(low)
    for key, value in high.items():
        mine = out.get(key)
        out[key] = laid_over(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return out


def _joined(low: Positions, high: Positions) -> Positions:
    joined = Positions(high.file)
    joined.keys = {**low.keys, **high.keys}
    joined.values = {**low.values, **high.values}
    joined.sealed = {*(keys for keys in low.sealed if keys not in high.values), *high.sealed}
    joined.shut = (low.shut | high.shut) & joined.sealed
    joined.files = {**dict.fromkeys(low.values, low.file), **low.files}
    for keys in high.values:
        joined.files[keys] = high.files.get(keys, high.file)
    return joined
