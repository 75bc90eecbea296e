# SPDX-License-Identifier: GPL-3.0-or-later
"""A task: one thing to do with one package on one architecture of one suite (schemas/task.json)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

SCHEMA_VERSION = 1
OLDER = {"type": "kind", "dist": "suite"}  # names of the older tools, accepted when reading
CLASSES = ("small", "medium", "large", "huge")  # by memory
Identity = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Task:
    """One task.

    :param esttime: estimated seconds; `esttime_from` is what says so: database, results, size, unknown or given.
    :param memory: bytes that it was seen to need, with room to spare; None where that isn't known.
    :param size_class: small, medium, large or huge: the nodes it runs on.
    :param logfile: where its log goes below the run's folder; `{attempt}` stands for the number of the attempt.
    :param requester: who asked for it; `cause`: why.
    :param run: the run it belongs to; empty until it is submitted.
    """

    kind: str
    suite: str
    arch: str
    package: str
    version: str
    esttime: int = 0
    esttime_from: str = "unknown"
    memory: int | None = None
    size_class: str = "small"
    logfile: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    requester: str = ""
    cause: str = ""
    run: str = ""

    @property
    def identity(self) -> Identity:
        """What tells it from the other tasks of a run: the folder of its results."""
        return (self.kind, self.suite, self.arch, self.package, self.version)

    @property
    def path(self) -> str:
        """The folder of its results below the run's."""
        return "/".join(self.identity)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: what says nothing is left out."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        kept = {name: value for name, value in said.items() if value not in ("", None, {})}
        return {"schema_version": SCHEMA_VERSION, **kept, **({"options": dict(self.options)} if self.options else {})}

    @classmethod
    def from_dict(cls, read: Mapping[str, Any]) -> Task:
        """A task that is valid (see `validate`), with older names too; keys that no task has are left out."""
        named = renamed(read)
        return cls(**{one.name: named[one.name] for one in fields(cls) if one.name in named})


def renamed(read: Mapping[str, Any]) -> dict[str, Any]:
    """The same with today's names for keys; one that has both names keeps the older, for the check to refuse."""
    return {(OLDER[key] if key in OLDER and OLDER[key] not in read else key): value for key, value in read.items()}


REQUIRED = tuple(one.name for one in fields(Task) if one.default is MISSING and one.default_factory is MISSING)


def usual_logfile(task: Task) -> str:
    """Where the log of a task goes that doesn't say it."""
    return f"{task.path}/attempts/{{attempt}}/log.zst"
