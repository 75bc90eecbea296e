# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results lie: `RUN/KIND/SUITE/ARCH/PACKAGE/VERSION/`, there `result.json` and `attempts/N/`.

These are keys of a store, each name as it is. A store that doesn't take every character encodes them (`encoded`).
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from urllib.parse import quote, unquote

from debfleet.common.errors import DebfleetError
from debfleet.tasks.task import Task

RESULT = "result.json"
LOG = "log.zst"
ATTEMPTS = "attempts"
ATTEMPT = re.compile(r"([1-9][0-9]*)(?:-interrupted-([1-9][0-9]*))?", re.ASCII)
LONGEST = 255  # bytes of a name in a folder


@dataclass(frozen=True)
class Place:
    """The folder of a task's results."""

    run: str
    kind: str
    suite: str
    arch: str
    package: str
    version: str

    @classmethod
    def of(cls, task: Task) -> Place:
        """That of a task, which belongs to a run."""
        return cls(task.run, *task.identity)

    @classmethod
    def parse(cls, path: str) -> Place:
        """That of a path, with or without slashes around it. Raises DebfleetError."""
        names = path.strip("/").split("/")
        if len(names) != 6:
            raise DebfleetError(f"{path} is no result", hint="write RUN/KIND/SUITE/ARCH/PACKAGE/VERSION")
        for name in names:
            check_name(name)
        return cls(*names)

    @property
    def path(self) -> str:
        """As a key, without a slash at its end."""
        return "/".join(astuple(self))

    @property
    def result(self) -> str:
        """The key of the final result."""
        return f"{self.path}/{RESULT}"

    def attempt(self, number: int, interruption: int = 0) -> str:
        """The key of an attempt's folder. One that was interrupted has its own, since the attempt is made again.

        :param interruption: 0 for an attempt that came to its end, else which interruption of the task ended it.
        """
        return f"{self.path}/{ATTEMPTS}/{number}{f'-interrupted-{interruption}' if interruption else ''}"


@dataclass(frozen=True, order=True)
class Attempt:
    """The number of an attempt, and which interruption ended it (0: it came to its end)."""

    number: int
    interruption: int = 0

    @classmethod
    def parse(cls, name: str) -> Attempt | None:
        """That of a folder's name; None where it is none."""
        found = ATTEMPT.fullmatch(name)
        return cls(int(found[1]), int(found[2] or 0)) if found else None


def final_of(key: str) -> Place | None:
    """The place whose final result a key is; None for any other key."""
    names = key.split("/")
    return Place(*names[:6]) if len(names) == 7 and names[6] == RESULT and not key.startswith(".") else None


def check_name(name: str) -> None:
    """Raise DebfleetError when a name can't be one of a path's."""
    if not name or name.startswith(".") or "/" in name or not name.isprintable() or len(name.encode()) > LONGEST:
        raise DebfleetError(f"{name!r} can't be part of a result's path")


def encoded(key: str) -> str:
    """A key for a store that doesn't take every character: all but letters, digits and `-._~` percent-encoded."""
    return "/".join(quote(name, safe="") for name in key.split("/"))


def decoded(key: str) -> str:
    """The key that was encoded."""
    return unquote(key)
