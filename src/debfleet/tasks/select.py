# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages and tasks are kept: by name or pattern, by architecture and suite, by estimated time."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from debfleet.common.errors import DebfleetError

from .task import Task

DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|min|h|d)?")
UNITS = {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


class FilterError(DebfleetError):
    """A filter has a form that can't be read."""


def seconds(text: str) -> int:
    """Read a duration: `90`, `90s`, `30m`, `2h`, `1d`. Raises FilterError."""
    match = DURATION.fullmatch(text.strip())
    if match is None:
        raise FilterError(f"{text!r} is no duration", hint="write a number and s, m, h or d: 90s, 30m, 2h")
    return round(float(match[1]) * UNITS[match[2]])


def shown(duration: float) -> str:
    """Seconds for a reader: `45 s`, `3 min`, `2 h 05 min`."""
    whole = round(duration)
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def matcher(pattern: str) -> Callable[[str], bool]:
    """What tells whether a name fits `lib*` (a shell's pattern) or `/^lib.*perl$/` (a regular expression)."""
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
        try:
            expression = re.compile(pattern[1:-1])
        except re.error as error:
            raise FilterError(f"{pattern} is no regular expression", why=str(error)) from error
        return lambda name: expression.search(name) is not None
    expression = re.compile(fnmatch.translate(pattern))
    return lambda name: expression.match(name) is not None


@dataclass(frozen=True)
class Filter:
    """What is kept. An empty tuple keeps all; an exclusion wins over an inclusion.

    :param shortest: `longest`: limits of the estimated seconds, both included.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    shortest: int | None = None
    longest: int | None = None

    def names(self) -> Callable[[str], bool]:
        """What tells whether a package is kept by its name."""
        included = [matcher(pattern) for pattern in self.include]
        excluded = [matcher(pattern) for pattern in self.exclude]

        def kept(name: str) -> bool:
            return (not included or any(fits(name) for fits in included)) and not any(fits(name) for fits in excluded)

        return kept

    def tasks(self, tasks: Iterable[Task]) -> list[Task]:
        """The tasks that are kept."""
        named = self.names()
        return [
            task
            for task in tasks
            if named(task.package)
            and (not self.suites or task.suite in self.suites)
            and (not self.architectures or task.arch in self.architectures)
            and (self.shortest is None or task.esttime >= self.shortest)
            and (self.longest is None or task.esttime <= self.longest)
        ]
