# SPDX-License-Identifier: GPL-3.0-or-later
"""What every queue does. tests/integration/queue_suite.py holds any of them to it.

A task is waiting, running, done or dead. Who pulls one holds it by a lease, until it acknowledges, gives back or fails
it. A lease that is not extended, or whose holder is gone, is lost: the task waits again, and that counts as no failure.
A task that failed once waits to be run alone on its node; one that fails then is dead, and kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from debfleet.common.errors import DebfleetError
from debfleet.tasks.task import CLASSES, Task

ATTEMPTS = 2  # the second one is alone on its node, and final
STATES = ("waiting", "running", "done", "dead")


class LeaseLostError(DebfleetError):
    """The task is no longer ours: it waits again, or another worker has it."""

    def __init__(self, task: Task) -> None:
        super().__init__(
            "the task is no longer held", where=f"{task.run}/{task.path}", why="its lease was not extended in time"
        )


@dataclass(frozen=True)
class Wanted:
    """What a worker takes.

    :param architectures: those that the node runs.
    :param classes: the classes it has the memory for; they don't matter for a task that runs alone.
    :param kinds: the kinds it can do.
    :param alone: whether it asks for a task to run alone on the node, or for one to run beside others.
    :param worker: its name, for whoever looks at the queue.
    """

    architectures: tuple[str, ...]
    kinds: tuple[str, ...]
    classes: tuple[str, ...] = CLASSES
    alone: bool = False
    worker: str = ""


@dataclass(frozen=True)
class Lease:
    """A task that is held.

    :param attempt: 1, or 2 once it failed.
    :param interruptions: how often it was lost or given back before.
    :param token: tells this holding from any other.
    """

    task: Task
    attempt: int
    interruptions: int
    token: str

    @property
    def alone(self) -> bool:
        """Whether nothing may run beside it on its node."""
        return self.attempt > 1


@dataclass(frozen=True)
class Position:
    """Where a task is: its state, and while it waits how manieth it is of its architecture and class (from 1)."""

    state: str
    number: int = 0

    def text(self) -> str:
        """In words: `already queued, position 3`."""
        return {
            "waiting": f"already queued, position {self.number}",
            "running": "already running",
            "done": "already done",
            "dead": "already failed for good",
        }[self.state]


@dataclass(frozen=True)
class Submitted:
    """What submitting did: how many tasks were queued, and those that the run had already."""

    queued: int
    already: tuple[Task, ...]


@dataclass(frozen=True)
class Counts:
    """How many tasks of a run are in each state; `alone` are those of the waiting that run alone."""

    waiting: int = 0
    alone: int = 0
    running: int = 0
    done: int = 0
    dead: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return not self.waiting and not self.running


@dataclass(frozen=True)
class Failure:
    """One attempt that failed: why, on which worker, when (seconds since 1970)."""

    attempt: int
    worker: str
    why: str
    time: float


@dataclass(frozen=True)
class Dead:
    """A task that failed for good, with its failures."""

    task: Task
    failures: tuple[Failure, ...]


class Queue(Protocol):
    """A queue of tasks. Every change is on the disk before its call returns; one object serves one thread."""

    def submit(self, run: str, tasks: Sequence[Task]) -> Submitted:
        """Queue the tasks of a run, longest first, but for those that it has already."""

    def pull(self, wanted: Wanted) -> Lease | None:
        """Take the longest waiting task that is wanted; None when there is none."""

    def extend(self, lease: Lease) -> None:
        """Keep a task. To be called several times within the queue's `lease_seconds`. Raises LeaseLostError."""

    def acknowledge(self, lease: Lease) -> None:
        """Its result is committed: the task is done. Raises LeaseLostError."""

    def give_back(self, lease: Lease) -> None:
        """It could not be finished here: it waits again, which counts as no failure. Raises LeaseLostError."""

    def fail(self, lease: Lease, why: str) -> bool:
        """It failed: it waits to be run alone, or is dead. Returns whether it is dead. Raises LeaseLostError."""

    def position(self, run: str, task: Task) -> Position | None:
        """Where a task of a run is; None when the run doesn't have it."""

    def counts(self) -> Mapping[str, Counts]:
        """How many tasks of each run are in each state."""

    def dead(self, run: str = "") -> list[Dead]:
        """The tasks of a run, or of all, that failed for good."""

    def purge(self, run: str) -> int:
        """Forget a run. Returns how many tasks that were. Raises DebfleetError while one of them is running."""

    @property
    def lease_seconds(self) -> float:
        """How long a lease lasts that is not extended."""

    def close(self) -> None:
        """Let go of what the queue holds open; leases that are still held are lost."""
