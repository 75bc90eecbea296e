# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded queue: one SQLite file, used by any number of processes of one machine; no server.

A lease ends at a time of CLOCK_BOOTTIME, which all processes of a machine share and nobody sets: it goes on while the
machine sleeps, and begins anew with a boot, so that a lease of an earlier boot is known to be lost. As a loss of power
ends all leases, taking and extending one need not outlive it, and are not synced to the disk.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from debfleet.tasks.task import CLASSES, Task

from .interface import ATTEMPTS, Counts, Dead, Lease, LeaseLostError, Position, Submitted, Wanted
from .register import Register, task_of

LEASE_SECONDS = 120.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
NEXT = """
    SELECT id, esttime, task, attempt, interruptions FROM tasks
    WHERE state = 'waiting' AND (attempt > 1) = ? AND arch = ? AND size_class = ? AND kind IN ({kinds})
    ORDER BY esttime DESC, id LIMIT 1
"""
AGAIN = "UPDATE tasks SET state = 'waiting', token = NULL, interruptions = interruptions + 1 "


def clock() -> float:
    """Seconds since this machine booted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SqliteQueue:
    """A queue in a file.

    :param lease_seconds: how long a lease lasts that is not extended; the same for all who use the file.
    """

    def __init__(self, path: Path, lease_seconds: float = LEASE_SECONDS) -> None:
        self.register = Register(path)
        self.lease_seconds = lease_seconds
        self._held: set[str] = set()
        self._boot = BOOT_ID.read_text(encoding="ascii").strip()

    def submit(self, run: str, tasks: Sequence[Task]) -> Submitted:
        """Queue the tasks of a run, longest first, but for those that it has already."""
        already = self.register.add(run, tasks)
        return Submitted(len(tasks) - len(already), tuple(already))

    def pull(self, wanted: Wanted) -> Lease | None:
        """Take the longest waiting task that is wanted; None when there is none."""
        kinds = ", ".join("?" * len(wanted.kinds))
        with self.register.changing(lasting=False) as database:
            self._let_go(database)
            found = [
                row
                for arch in wanted.architectures
                for size_class in (CLASSES if wanted.alone else wanted.classes)
                for row in database.execute(NEXT.format(kinds=kinds), (wanted.alone, arch, size_class, *wanted.kinds))
            ]
            if not found:
                return None
            number, _, text, attempt, interruptions = min(found, key=lambda row: (-row[1], row[0]))
            token = uuid.uuid4().hex
            database.execute(
                "UPDATE tasks SET state = 'running', token = ?, worker = ?, boot = ?, expires = ? WHERE id = ?",
                (token, wanted.worker, self._boot, clock() + self.lease_seconds, number),
            )
        self._held.add(token)
        return Lease(task_of(text), attempt, interruptions, token)

    def extend(self, lease: Lease) -> None:
        """Keep a task. Raises LeaseLostError."""
        with self.register.changing(lasting=False) as database:
            self._number(database, lease)
            database.execute(
                "UPDATE tasks SET expires = ? WHERE token = ?", (clock() + self.lease_seconds, lease.token)
            )

    def acknowledge(self, lease: Lease) -> None:
        """Its result is committed: the task is done. Raises LeaseLostError."""
        with self.register.changing() as database:
            self._number(database, lease)
            database.execute("UPDATE tasks SET state = 'done', token = NULL WHERE token = ?", (lease.token,))
        self._held.discard(lease.token)

    def give_back(self, lease: Lease) -> None:
        """It could not be finished here: it waits again, which counts as no failure. Raises LeaseLostError."""
        with self.register.changing() as database:
            self._number(database, lease)
            database.execute(AGAIN + "WHERE token = ?", (lease.token,))
        self._held.discard(lease.token)

    def fail(self, lease: Lease, why: str) -> bool:
        """It failed: it waits to be run alone, or is dead. Returns whether it is dead. Raises LeaseLostError."""
        dead = lease.attempt >= ATTEMPTS
        with self.register.changing() as database:
            number, worker = self._number(database, lease)
            self.register.failed(database, number, lease.attempt, worker, why)
            database.execute(
                "UPDATE tasks SET state = ?, attempt = attempt + ?, token = NULL WHERE id = ?",
                ("dead" if dead else "waiting", 0 if dead else 1, number),
            )
        self._held.discard(lease.token)
        return dead

    def position(self, run: str, task: Task) -> Position | None:
        """Where a task of a run is; None when the run doesn't have it."""
        self._look()
        return self.register.position(run, task)

    def counts(self) -> Mapping[str, Counts]:
        """How many tasks of each run are in each state."""
        self._look()
        return self.register.counts()

    def dead(self, run: str = "") -> list[Dead]:
        """The tasks of a run, or of all, that failed for good."""
        return self.register.dead(run)

    def purge(self, run: str) -> int:
        """Forget a run. Returns how many tasks that were. Raises DebfleetError while one of them is running."""
        self._look()
        return self.register.purge(run)

    def close(self) -> None:
        """Close the file. Tasks that are still held wait again at once."""
        if self._held:
            with self.register.changing() as database:
                database.executemany(AGAIN + "WHERE token = ?", [(token,) for token in self._held])
            self._held.clear()
        self.register.close()

    def _look(self) -> None:
        """Let lost leases go, before somebody is told about them."""
        with self.register.changing(lasting=False) as database:
            self._let_go(database)

    def _let_go(self, database: sqlite3.Connection) -> None:
        """Let the tasks wait again whose leases are lost."""
        database.execute(AGAIN + "WHERE state = 'running' AND (expires < ? OR boot != ?)", (clock(), self._boot))

    def _number(self, database: sqlite3.Connection, lease: Lease) -> tuple[int, str]:
        """The number of a task that is held, and its worker. Raises LeaseLostError."""
        found: tuple[int, str] | None = database.execute(
            "SELECT id, worker FROM tasks WHERE token = ? AND state = 'running' AND boot = ? AND expires >= ?",
            (lease.token, self._boot, clock()),
        ).fetchone()
        if found is None:
            raise LeaseLostError(lease.task)
        return found
