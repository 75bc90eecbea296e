# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON with ``//`` and ``/* */`` comments, read with the line and column of each key and value."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from json.decoder import scanstring  # type: ignore[attr-defined, unused-ignore]
from typing import Any

from .problems import Keys, Place, Positions, Problem, UnreadableError, dotted

DEEPEST = 40
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
BLANK = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.S)
WORDS = {"true": True, "false": False, "null": None}
ENDS = ",:]}"


class _Reader:
    def __init__(self, text: str, positions: Positions) -> None:
        self.text, self.positions, self.at = text, positions, 0
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.problems: list[Problem] = []

    def place(self, at: int) -> Place:
        line = bisect_right(self.starts, at)
        return Place(line, at - self.starts[line - 1] + 1)

    def wrong(self, message: str, *, at: int | None = None, hint: str = "") -> UnreadableError:
        place = self.place(self.at if at is None else at)
        problem = Problem(message, "", self.positions.file, place.line, place.column, hint=hint)
        return UnreadableError(*self.problems, problem)

    def blank(self) -> str:
        """Skip spaces and comments; the next character, empty at the end."""
        match = BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.text[self.at : self.at + 1]

    def string(self) -> str:
        start = self.at
        try:
            value, self.at = scanstring(self.text, self.at + 1, True)
        except json.JSONDecodeError as error:
            raise self.wrong(f"not JSON: {error.msg.lower()}", at=start) from error
        return str(value)

    def value(self, keys: Keys, key: Place | None) -> Any:
        char = self.blank()
        self.positions.put(keys, key, self.place(self.at))
        if len(keys) > DEEPEST:
            raise self.wrong(f"nested more than {DEEPEST} deep")
        if char == "{":
            return self.mapping(keys)
        if char == "[":
            return self.sequence(keys)
        if char == '"':
            return self.string()
        if match := NUMBER.match(self.text, self.at):
            return self.number(match)
        for word, meant in WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return meant
        raise self.wrong(
            "not JSON: " + ("no value begins so" if char and char not in ENDS else "a value is missing here")
        )

    def number(self, match: re.Match[str]) -> int | float:
        self.at = match.end()
        if len(match[0]) > 30:
            raise self.wrong("a number of more than 30 digits", at=match.start())
        return float(match[0]) if match[1] or match[2] else int(match[0])

    def mapping(self, keys: Keys) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.at += 1
        if self.blank() == "}":
            self.at += 1
            return found
        while True:
            if self.blank() != '"':
                raise self.wrong("not JSON: a key in double quotes is missing here", hint="no comma before a }")
            start = self.at
            name = self.string()
            if name in found:
                raised = self.positions.place((*keys, name), key=True)
                at, path = self.place(start), dotted((*keys, name))
                message = f"the key is there twice, first in line {raised.line}"
                self.problems.append(Problem(message, path, self.positions.file, at.line, at.column))
            if self.blank() != ":":
                raise self.wrong("not JSON: a colon is missing here")
            self.at += 1
            found[name] = self.value((*keys, name), self.place(start))
            if self.more("}"):
                return found

    def sequence(self, keys: Keys) -> list[Any]:
        found: list[Any] = []
        self.at += 1
        if self.blank() == "]":
            self.at += 1
            return found
        while True:
            found.append(self.value((*keys, len(found)), None))
            if self.more("]"):
                return found

    def more(self, end: str) -> bool:
        """Whether this was the last item; the comma or the end is read."""
        char = self.blank()
        if char not in (",", end):
            raise self.wrong(f"not JSON: a comma or {end} is missing here")
        self.at += 1
        return char == end


def read(text: str, positions: Positions) -> Any:
    """The value in this text. Raises UnreadableError with every duplicate key, or with where it stops being JSON."""
    reader = _Reader(text, positions)
    value = reader.value((), None)
    if reader.blank():
        raise reader.wrong("not JSON: something follows after the end")
    if reader.problems:
        raise UnreadableError(*reader.problems)
    return value
