# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving keys of a manifest to where they belong today, with a notice for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .problems import Keys, Positions, Problem, dotted

GONE = "means nothing any more and was left out"


def is_empty(value: Any) -> bool:
    """Whether nothing is said: null, an empty text, or a mapping or list of such."""
    if isinstance(value, Mapping):
        return all(is_empty(item) for item in value.values())
    return value is None or value == "" or value == []


class Translation:
    """A manifest while its keys are translated. `data` is changed in place; problems are collected."""

    def __init__(self, data: dict[str, Any], positions: Positions) -> None:
        self.data, self.positions = data, positions
        self.notices: list[Problem] = []
        self.errors: list[Problem] = []
        self.literals: dict[str, str] = {}  # what variables stand for whose key is gone

    def get(self, *keys: str) -> Any:
        """The value at these keys, None where there is none."""
        at: Any = self.data
        for key in keys:
            if not isinstance(at, dict) or key not in at:
                return None
            at = at[key]
        return at

    def has(self, *keys: str) -> bool:
        """Whether there is a key, whatever its value."""
        above = self.get(*keys[:-1]) if len(keys) > 1 else self.data
        return isinstance(above, dict) and keys[-1] in above

    def put(self, keys: tuple[str, ...], value: Any) -> bool:
        """Put a value where it belongs; False where the mapping for it is something else."""
        at: Any = self.data
        for key in keys[:-1]:
            at = at.setdefault(key, {})
            if not isinstance(at, dict):
                return False
        at[keys[-1]] = value
        return True

    def take(self, *keys: str) -> Any:
        """Remove a value and return it."""
        above = self.get(*keys[:-1]) if len(keys) > 1 else self.data
        return above.pop(keys[-1])

    def note(self, keys: Keys, message: str, hint: str = "") -> None:
        """Say what was made of a key."""
        self.notices.append(self.positions.problem(keys, message, key=True, hint=hint))

    def move(self, old: tuple[str, ...], new: tuple[str, ...], value: Any = None) -> bool:
        """What is at `old` belongs to `new`, as it is or as `value`. With both there it is an error."""
        if not self.has(*old):
            return False
        if is_empty(self.get(*old)) and self.get(*old) != {}:
            return self.drop(old, "is empty and was left out")
        if self.has(*new) and new[: len(old)] != old:
            message = f"{dotted(self.positions.written(new))} is there too, and means the same"
            self.errors.append(self.positions.problem(old, message, key=True, hint=f"keep {dotted(new)}"))
            self.take(*old)
            return False
        found = self.take(*old)
        self.note(old, f"is written {dotted(new)} today")
        if not self.put(new, found if value is None else value):
            return False
        self.positions.move(old, new)
        return True

    def replace(self, keys: tuple[str, ...], value: Any, message: str) -> None:
        """A value is written in another way today."""
        self.put(keys, value)
        self.note(keys, message)

    def drop(self, keys: tuple[str, ...], message: str = GONE, hint: str = "") -> bool:
        """A key means nothing any more."""
        if not self.has(*keys):
            return False
        path = dotted(self.positions.written(keys))
        self.notices = [notice for notice in self.notices if notice.path != path]  # that it was moved is no news now
        self.note(keys, message, hint)
        self.take(*keys)
        return True

    def extend(self, old: tuple[str, ...], new: tuple[str, ...], items: list[Any]) -> None:
        """Items of one list belong to another; what is there already stays in front."""
        there = self.get(*new)
        if there is not None and not isinstance(there, list):
            return
        self.note(old, f"is written {dotted(new)} today")
        start = len(there or [])
        for index in range(len(items)):
            self.positions.move((*old, index), (*new, start + index))
        if there is None:
            self.positions.move(old, new)
        self.take(*old)
        self.put(new, [*(there or []), *items])
