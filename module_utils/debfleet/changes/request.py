# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task of a phase asks for: read from the file that `image_change` appends to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DebfleetError

FOLDER = "requests"  # in the work folder: a file for each phase, a request a line


@dataclass(frozen=True)
class Tree:
    """What changes are made to: a root tree, in which work folder's build, for which Debian architecture."""

    root: Path
    build: Path | None = None

    def path(self, inside: str) -> Path:
        """Where an absolute path of the tree lies on the host. Symlinks in its parents are followed as the tree sees
        them, so that no link of the tree leads out of it.
        """
        here = Path()
        for part in Path(inside).parts[1:-1]:
            here = self._step(here / part)
        return self.root / here / Path(inside).name if inside != "/" else self.root

    def _step(self, path: Path) -> Path:
        for _ in range(40):
            full = self.root / path
            if not full.is_symlink():
                return path
            target = full.readlink()
            combined = Path("/") / (target if target.is_absolute() else path.parent / target)
            path = Path(*_normal(combined.parts[1:]))
        raise DebfleetError("too many symbolic links", where=f"/{path}")


def _normal(parts: tuple[str, ...]) -> list[str]:
    kept: list[str] = []
    for part in parts:
        if part == "..":
            kept = kept[:-1]
        elif part != ".":
            kept.append(part)
    return kept


@dataclass(frozen=True)
class Request:
    """One wish: the role and the task that asked, the kind of change, and what of it."""

    role: str
    task: str
    kind: str
    value: Any

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps({"role": self.role, "task": self.task, "kind": self.kind, "value": self.value}) + "\n"

    @property
    def asker(self) -> str:
        """Who asked, for a reader."""
        return f"{self.role}: {self.task}"


def read(path: Path) -> Iterator[Request]:
    """The requests of a phase, in the order in which they were made; none when nobody asked."""
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield Request(**json.loads(line))


def expect_keys(value: Mapping[str, Any], required: set[str], optional: set[str]) -> None:
    """Raise ValueError unless a mapping has all of the required keys and no unknown one."""
    if missing := required - set(value):
        raise ValueError(f"needs {', '.join(sorted(missing))}")
    if unknown := set(value) - required - optional:
        raise ValueError(f"unknown {', '.join(sorted(unknown))}; allowed are {', '.join(sorted(required | optional))}")


def expect_list(value: Any, of: type, what: str) -> None:
    """Raise ValueError unless value is a list of such items."""
    if not isinstance(value, list) or not all(isinstance(item, of) for item in value):
        raise ValueError(f"must be a list of {what}, not {value!r}")


def expect_path(value: Any) -> None:
    """Raise ValueError unless value is an absolute path without `..`."""
    if not isinstance(value, str) or not value.startswith("/") or ".." in Path(value).parts or "\0" in value:
        raise ValueError(f"{value!r} is no absolute path inside the image")
