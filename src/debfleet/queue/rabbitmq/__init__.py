# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue in RabbitMQ: quorum queues, a master that submits, workers that pull (docs/queue.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from debfleet.queue.interface import Counts, Dead, Lease, Position, Submitted, Wanted
from debfleet.tasks.task import Task

from .connection import HEARTBEAT, parse
from .master import Master
from .worker import Worker


class RabbitQueue:
    """A queue in a broker. Each side connects when it is first used; a worker needs no register."""

    lease_seconds = float(HEARTBEAT)

    def __init__(self, url: str) -> None:
        self.address = parse(url)

    @cached_property
    def _master(self) -> Master:
        return Master(self.address)

    @cached_property
    def _worker(self) -> Worker:
        return Worker(self.address)

    def submit(self, run: str, tasks: Sequence[Task]) -> Submitted:
        """Queue the tasks of a run, longest first, but for those that it has already."""
        return self._master.submit(run, tasks)

    def pull(self, wanted: Wanted) -> Lease | None:
        """Take a waiting task that is wanted: the longest of the largest class that has one."""
        return self._worker.pull(wanted)

    def extend(self, lease: Lease) -> None:
        """Keep a task. Raises LeaseLostError."""
        self._worker.extend(lease)

    def acknowledge(self, lease: Lease) -> None:
        """Its result is committed: the task is done. Raises LeaseLostError."""
        self._worker.acknowledge(lease)

    def give_back(self, lease: Lease) -> None:
        """It could not be finished here: it waits again, which counts as no failure. Raises LeaseLostError."""
        self._worker.give_back(lease)

    def fail(self, lease: Lease, why: str) -> bool:
        """It failed: it waits to be run alone, or is dead. Returns whether it is dead. Raises LeaseLostError."""
        return self._worker.fail(lease, why)

    def position(self, run: str, task: Task) -> Position | None:
        """Where a task of a run is; None when the run doesn't have it."""
        return self._master.position(run, task)

    def counts(self) -> Mapping[str, Counts]:
        """How many tasks of each run are in each state, as far as workers told."""
        return self._master.counts()

    def dead(self, run: str = "") -> list[Dead]:
        """The tasks of a run, or of all, that failed for good."""
        return self._master.dead(run)

    def purge(self, run: str) -> int:
        """Forget a run. Returns how many tasks that were. Raises DebfleetError while one of them is running."""
        return self._master.purge(run)

    def close(self) -> None:
        """Close what is open. Tasks that are still held wait again."""
        for name in ("_worker", "_master"):
            if side := self.__dict__.pop(name, None):
                side.close()
