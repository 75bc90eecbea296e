# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML, read with the line and column of each key and value. No tags but ``!vault``, no duplicate keys, no bombs.

A plain scalar means what it means in JSON: ``true``, ``false``, ``null``, numbers; all else is a string. So neither
``no`` turns into false, nor ``0755`` into a number, nor ``2024-01-01`` into a date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .problems import Keys, Place, Positions, Problem, Sealed, UnreadableError, dotted

DEEPEST = 40
MOST = 20_000  # values in a manifest, those reached by aliases counted each time
INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})\Z")
FLOAT = re.compile(r"-?(0|[1-9]\d*)(\.\d+)([eE][-+]?\d+)?\Z")
NULL = ("", "~", "null", "Null", "NULL")
TRUE, FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
TAG = "tag:yaml.org,2002:"
TAGS = (None, "!", f"{TAG}str", f"{TAG}seq", f"{TAG}map")
Decrypt = Callable[[str], str]


@dataclass
class Node:
    """A value as it is written: `value` is a text, a list of nodes, or a list of pairs of nodes."""

    kind: str
    tag: str | None
    value: Any
    place: Place
    plain: bool = False


def compose(text: str, file: str) -> Node | None:
    """The nodes of a YAML text, None when it is empty. Raises UnreadableError, at once where it is nested too deep."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return _Composer(YAML(typ="safe", pure=True).parse(text), file).document()
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        hint = "write spaces, no tabs, to indent" if "\\t" in said else ""
        raise UnreadableError(Problem(f"not YAML: {said}", "", file, line, column, hint=hint)) from error
    except (RecursionError, ValueError) as error:
        raise UnreadableError(Problem("not YAML that can be read", "", file, 1, 1)) from error


class _Composer:
    """Nodes from the parser's events, so that a limit ends the parsing."""

    def __init__(self, events: Iterator[Any], file: str) -> None:
        self.events, self.file = events, file
        self.anchors: dict[str, Node] = {}

    def document(self) -> Node | None:
        found: list[Node] = []
        for event in self.events:
            if type(event).__name__ in ("ScalarEvent", "SequenceStartEvent", "MappingStartEvent", "AliasEvent"):
                if found:
                    raise self.wrong(event, "another document begins here")
                found.append(self.node(event, 0))
        return found[0] if found else None

    def wrong(self, event: Any, message: str) -> UnreadableError:
        mark = event.start_mark
        return UnreadableError(Problem(f"not YAML: {message}", "", self.file, mark.line + 1, mark.column + 1))

    def node(self, event: Any, depth: int) -> Node:
        if depth > DEEPEST:
            raise self.wrong(event, f"nested more than {DEEPEST} deep")
        kind = type(event).__name__
        if kind == "AliasEvent":
            if event.anchor not in self.anchors:
                raise self.wrong(event, f"there is no anchor {event.anchor}")
            return self.anchors[event.anchor]
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        tag = None if event.tag is None else str(event.tag)
        node = Node(kind.removesuffix("Event").removesuffix("Start"), tag, [], place)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        if node.kind == "Scalar":
            node.value, node.plain = str(event.value), event.style in (None, "")
        else:
            self.fill(node, depth)
        return node

    def fill(self, node: Node, depth: int) -> None:
        items: list[Node] = []
        for event in self.events:
            if type(event).__name__ in ("SequenceEndEvent", "MappingEndEvent"):
                break
            items.append(self.node(event, depth + 1))
        node.value = items if node.kind == "Sequence" else list(zip(items[::2], items[1::2], strict=True))


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

    def wrong(self, keys: Keys, node: Node, message: str, hint: str = "") -> None:
        at = node.place
        self.problems.append(Problem(message, dotted(keys), self.positions.file, at.line, at.column, hint=hint))

    def value(self, node: Node, keys: Keys, key: Place | None) -> Any:
        self.count += 1
        if self.count > MOST or len(keys) > DEEPEST:
            limit = f"more than {MOST} values" if self.count > MOST else f"nested more than {DEEPEST} deep"
            self.wrong(keys[:4], node, f"{limit}; aliases count each time")
            raise UnreadableError(*self.problems)
        self.positions.put(keys, key, node.place)
        if node.tag == "!vault" and node.kind == "Scalar":
            return self.vault(node, keys)
        if node.tag not in TAGS:
            self.wrong(keys, node, f"the tag {node.tag.replace(TAG, '!!')} is not allowed", "the only tag is !vault")
            return None
        if node.kind == "Mapping":
            return self.mapping(node, keys)
        if node.kind == "Sequence":
            return [self.value(item, (*keys, index), None) for index, item in enumerate(node.value)]
        return scalar(node.value, node.plain and node.tag is None)

    def vault(self, node: Node, keys: Keys) -> Any:
        self.positions.sealed.add(keys)
        if self.decrypt is None:
            self.positions.shut.add(keys)
            return Sealed()
        try:
            return self.decrypt(node.value)
        except Exception as error:  # whatever a vault raises: the user can only be told
            self.wrong(keys, node, "could not open the vault value", str(error).splitlines()[0] if str(error) else "")
            return Sealed()

    def mapping(self, node: Node, keys: Keys) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if key.kind != "Scalar" or key.tag not in (None, f"{TAG}str", "!"):
                self.wrong(keys, key, "a key must be a word")
            elif key.value == "<<" and key.plain:
                self.wrong(keys, key, "merge keys (<<) are not supported", "write the keys out, or use extends")
            elif key.value in found:
                first = self.positions.place((*keys, key.value), key=True)
                self.wrong((*keys, key.value), key, f"the key is there twice, first in line {first.line}")
            else:
                found[key.value] = self.value(value, (*keys, key.value), key.place)
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
