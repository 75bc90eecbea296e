# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML, read with the line and column of each key and value. No tags but ``!vault``, no duplicate keys, no bombs.

A plain scalar means what it means in JSON: ``true``, ``false``, ``null``, numbers; all else is a string. So neither
``no`` turns into false, nor ``0755`` into a number, nor ``2024-01-01`` into a date.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .problems import Keys, Place, Positions, Problem, Sealed, UnreadableError, dotted

DEEPEST = 40
MOST = 20_000  # values in a manifest, those reached by aliases counted each time
INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})\Z")
FLOAT = re.compile(r"-?(0|[1-9]\d*)(\.\d+)([eE][-+]?\d+)?\Z")
NULL = ("", "~", "null", "Null", "NULL")
TRUE, FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
TAG = "tag:yaml.org,2002:"
Decrypt = Callable[[str], str]


def compose(text: str, file: str) -> Any:
    """The nodes of a YAML text, None when it is empty. Raises UnreadableError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        hint = "write spaces, no tabs, to indent" if "\\t" in said else ""
        raise UnreadableError(Problem(f"not YAML: {said}", "", file, line, column, hint=hint)) from error
    except (RecursionError, ValueError) as error:
        raise UnreadableError(
            Problem("not YAML that can be read: nested too deep, or odd characters", "", file, 1, 1)
        ) from error


def scalar(value: str, plain: bool) -> Any:
    """What a scalar means; only a plain one may be other than a string."""
    if not plain:
        return value
    if value in NULL:
        return None
    if value in TRUE or value in FALSE:
        return value in TRUE
    if INTEGER.match(value):
        return int(value)
    return float(value) if FLOAT.match(value) else value


class _Reader:
    def __init__(self, positions: Positions, decrypt: Decrypt | None) -> None:
        self.positions, self.decrypt = positions, decrypt
        self.problems: list[Problem] = []
        self.count = 0

    def wrong(self, keys: Keys, node: Any, message: str, hint: str = "") -> None:
        mark = node.start_mark
        self.problems.append(
            Problem(message, dotted(keys), self.positions.file, mark.line + 1, mark.column + 1, hint=hint)
        )

    def value(self, node: Any, keys: Keys, key: Place | None) -> Any:
        self.count += 1
        if self.count > MOST or len(keys) > DEEPEST:
            limit = f"more than {MOST} values" if self.count > MOST else f"nested more than {DEEPEST} deep"
            self.wrong(keys[:4], node, f"{limit}; aliases count each time")
            raise UnreadableError(*self.problems)
        self.positions.put(keys, key, Place(node.start_mark.line + 1, node.start_mark.column + 1))
        kind = type(node).__name__
        tag = str(node.tag)
        if tag == "!vault" and kind == "ScalarNode":
            return self.vault(node, keys)
        if not tag.startswith(TAG) or tag.removeprefix(TAG) not in (
            "str",
            "int",
            "float",
            "bool",
            "null",
            "seq",
            "map",
            "timestamp",
            "merge",
            "value",
        ):
            self.wrong(keys, node, f"the tag {tag.replace(TAG, '!!')} is not allowed", "the only tag is !vault")
            return None
        if kind == "MappingNode":
            return self.mapping(node, keys)
        if kind == "SequenceNode":
            return [self.value(item, (*keys, index), None) for index, item in enumerate(node.value)]
        return scalar(node.value, node.style in (None, ""))

    def vault(self, node: Any, keys: Keys) -> Any:
        self.positions.sealed.add(keys)
        if self.decrypt is None:
            self.positions.shut.add(keys)
            return Sealed()
        try:
            return self.decrypt(node.value)
        except Exception as error:  # whatever a vault raises: the user can only be told
            self.wrong(keys, node, "could not open the vault value", str(error).splitlines()[0] if str(error) else "")
            return Sealed()

    def mapping(self, node: Any, keys: Keys) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            name = key_node.value if type(key_node).__name__ == "ScalarNode" else None
            if not isinstance(name, str):
                self.wrong(keys, key_node, "a key must be a word")
                continue
            if name == "<<" and key_node.style in (None, ""):
                self.wrong(keys, key_node, "merge keys (<<) are not supported", "write the keys out, or use extends")
                continue
            at = Place(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if name in found:
                first = self.positions.place((*keys, name), key=True)
                self.wrong((*keys, name), key_node, f"the key is there twice, first in line {first.line}")
                continue
            found[name] = self.value(value_node, (*keys, name), at)
        return found


def read(text: str, positions: Positions, decrypt: Decrypt | None = None) -> Any:
    """The value in this text. Raises UnreadableError with everything in it that is not allowed."""
    node = compose(text, positions.file)
    if node is None:
        return None
    reader = _Reader(positions, decrypt)
    value = reader.value(node, (), None)
    if reader.problems:
        raise UnreadableError(*reader.problems)
    return value
