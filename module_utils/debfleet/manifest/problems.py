# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a manifest, and where in which file it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..journal import MASK

Keys = tuple[str | int, ...]
SECRETIVE = re.compile(
    r"pass(w|phrase|code)|passw?o?r?d|pwd|secret|token|credential|private.?key|access.?key|api.?key", re.I
)
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029\ud800-\udfff]")
ESCAPES = {ord("\n"): "\\n", ord("\t"): "\\t"}
USERINFO = re.compile(r"//[^/@\s]+@")  # of an address; it may hold a password
LONGEST = 200  # characters of a value that is shown


def dotted(keys: Iterable[str | int]) -> str:
    """A place in a manifest as a user reads it: ``packages.install[0]``."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return printable(text)


def printable(text: str) -> str:
    """The text with escapes for what no terminal and no UTF-8 can take."""
    return UNPRINTABLE.sub(lambda match: repr(match[0])[1:-1], text)


@dataclass(frozen=True)
class Problem:
    """An error or a notice. `line` and `column` count from 1, 0 where there is none; `value` is masked where secret."""

    message: str
    path: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    value: Any = None
    allowed: Any = None
    hint: str = ""
    keys: Keys = field(default=(), compare=False)  # the place in today's form; `path` is the one that was written

    def __str__(self) -> str:
        return self.text()

    def to_dict(self) -> dict[str, Any]:
        """As ``manifest check --json`` prints it."""
        return {
            "file": self.file,
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "value": self.value,
            "message": self.message,
            "allowed": self.allowed,
            "hint": self.hint,
        }

    def text(self) -> str:
        """As a reader sees it, on one line and, where there is more to say, a few indented ones."""
        place = self.file + (f":{self.line}:{self.column}" if self.line else "")
        lines = [f"{place}: {self.path + ': ' if self.path else ''}{self.message}"]
        value = self.value.translate(ESCAPES) if isinstance(self.value, str) else self.value
        lines += [f"  value: {value}"] if value is not None else []
        if self.allowed is not None:
            words = self.allowed if isinstance(self.allowed, str) else ", ".join(map(str, self.allowed))
            lines.append(f"  allowed: {words}")
        lines += [f"  do: {self.hint}"] if self.hint else []
        return "\n".join(lines)

    def masked(self, secrets: Iterable[str]) -> Problem:
        """The same without any of these strings."""

        def clean(value: Any) -> Any:
            if isinstance(value, str):
                for secret in secrets:
                    value = value.replace(secret, MASK)
                return value
            if isinstance(value, Mapping):
                return {clean(key): clean(item) for key, item in value.items()}
            return [clean(item) for item in value] if isinstance(value, (list, tuple)) else value

        return replace(
            self,
            message=clean(self.message),
            value=clean(self.value),
            hint=clean(self.hint),
        )


class UnreadableError(Exception):
    """A file that is no manifest at all: its problems are all that can be said."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__(problems[0].message if problems else "unreadable")


def redacted(value: Any) -> Any:
    """A value as it may be shown: what stands below a key that sounds secret is masked, and long things are cut."""
    if isinstance(value, Mapping):
        return {
            printable(str(k)): MASK if SECRETIVE.search(str(k)) else redacted(v) for k, v in list(value.items())[:20]
        }
    if isinstance(value, (list, tuple)):
        return [redacted(item) for item in value[:20]]
    if isinstance(value, Sealed):
        return MASK
    if isinstance(value, str):
        value = USERINFO.sub(f"//{MASK}@", value)
        return printable(value[:LONGEST] + "…" if len(value) > LONGEST else value)
    return value


def sounds_secret(keys: Keys) -> bool:
    """Whether a key, or one it lies below, sounds like a password; a file or a variable that holds one does not."""
    if keys and str(keys[-1]).endswith(("_file", "_env")):
        return False
    return any(isinstance(key, str) and SECRETIVE.search(key) for key in keys)


class Sealed(str):
    """A secret that can't be opened here: a vault value at the prompt. It stands for a string and is not checked."""

    def __new__(cls) -> Sealed:
        """Its text is a mask, wherever it ends up."""
        return super().__new__(cls, MASK)


@dataclass(frozen=True)
class Place:
    """Where something stands in a file; line and column count from 1."""

    line: int
    column: int


@dataclass
class Positions:
    """Where each key and each value of a manifest stands, also after it was moved to where it belongs today."""

    file: str
    keys: dict[Keys, Place] = field(default_factory=dict)
    values: dict[Keys, Place] = field(default_factory=dict)
    moved: dict[Keys, Keys] = field(default_factory=dict)
    sealed: set[Keys] = field(default_factory=set)  # values that came out of a vault
    shut: set[Keys] = field(default_factory=set)  # those of them that could not be opened here
    files: dict[Keys, str] = field(default_factory=dict)  # of what came from another file
    is_secret: Callable[[Keys], bool] = lambda _keys: False

    def put(self, keys: Keys, key: Place | None, value: Place) -> None:
        """Note where a value and its key stand."""
        self.values[keys] = value
        if key:
            self.keys[keys] = key

    def move(self, old: Keys, new: Keys) -> None:
        """What stood at `old` is at `new` from now on."""
        self.moved[new] = self.written(old)

    def written(self, keys: Keys) -> Keys:
        """The keys under which the user wrote what is now at `keys`."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.moved:
                return self.moved[keys[:length]] + keys[length:]
        return keys

    def vaulted(self, keys: Keys) -> bool:
        """Whether the value, or what it lies in, came out of a vault."""
        written = self.written(keys)
        return any(written[:length] in self.sealed for length in range(len(written) + 1))

    def is_sealed(self, keys: Keys) -> bool:
        """Whether the value came out of a vault that could not be opened here."""
        return keys in self.shut

    def file_of(self, keys: Keys) -> str:
        """The file in which the value was written."""
        written = self.written(keys)
        above = (written[:length] for length in range(len(written), -1, -1))
        return next((self.files[at] for at in above if at in self.files), self.file)

    def folder(self, keys: Keys) -> Path:
        """The folder that a path at `keys` is relative to."""
        return Path(self.file_of(keys)).absolute().parent

    def secret(self, keys: Keys) -> bool:
        """Whether the value at `keys` must not be shown."""
        return self.vaulted(keys) or self.is_secret(keys)

    def place(self, keys: Keys, *, key: bool = False) -> Place:
        """Where the value (or its key) stands; of something that isn't written, where it would belong."""
        written = self.written(keys)
        for length in range(len(written), -1, -1):
            at = written[:length]
            if length < len(written) and at in self.keys:
                return self.keys[at]
            found = (self.keys if key else self.values).get(at) or self.values.get(at)
            if found:
                return found
        return Place(1, 1)

    def problem(self, keys: Keys, message: str, *, key: bool = False, shown: bool = True, **more: Any) -> Problem:
        """A problem at this place. A `value` that is secret or sounds secret is masked."""
        place = self.place(keys, key=key)
        value = more.pop("value", None)
        if value is not None:
            value = redacted(value) if shown and not self.secret(keys) and not sounds_secret(keys) else MASK
        path, file = dotted(self.written(keys)), self.file_of(keys)
        return Problem(printable(message), path, file, place.line, place.column, value, keys=keys, **more)
