# SPDX-License-Identifier: GPL-3.0-or-later
"""The register of tasks: an SQLite database that knows every task of every run, its state and its failures.

The embedded queue is this register with leases on top; beside RabbitMQ it is the master's memory. Several processes of
one machine use it at once.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from debfleet.common.errors import DebfleetError
from debfleet.tasks.task import Task

from .interface import Counts, Dead, Failure, Position

BUSY_SECONDS = 120.0
VERSION = 1
SCHEMA = """
    CREATE TABLE IF NOT EXISTS tasks (
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL, path TEXT NOT NULL, task TEXT NOT NULL,
        kind TEXT NOT NULL, arch TEXT NOT NULL, size_class TEXT NOT NULL, esttime INTEGER NOT NULL,
        state TEXT NOT NULL DEFAULT 'waiting',
        attempt INTEGER NOT NULL DEFAULT 1,
        interruptions INTEGER NOT NULL DEFAULT 0,
        published INTEGER NOT NULL DEFAULT 0,
        token TEXT, worker TEXT, boot TEXT, expires REAL,
        UNIQUE (run, path)
    );
    CREATE INDEX IF NOT EXISTS waiting ON tasks (attempt > 1, arch, size_class, esttime DESC, id)
        WHERE state = 'waiting';
    CREATE INDEX IF NOT EXISTS running ON tasks (expires) WHERE state = 'running';
    CREATE TABLE IF NOT EXISTS failures (
        id INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
        attempt INTEGER NOT NULL, worker TEXT NOT NULL, why TEXT NOT NULL, time REAL NOT NULL
    );
    CREATE INDEX IF NOT EXISTS failures_of ON failures (id);
"""
INSERT = """
    INSERT OR IGNORE INTO tasks (run, path, task, kind, arch, size_class, esttime) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
# Those before a task in its line: of its architecture and class, or of its architecture where it waits to run alone.
BEFORE = """
    SELECT count(*) FROM tasks WHERE state = 'waiting' AND (attempt > 1) = ? AND arch = ?
    AND (? OR size_class = ?) AND (esttime > ? OR (esttime = ? AND id < ?))
"""


class Register:
    """The register in a file. Raises DebfleetError when the file can't be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            self.database.execute("PRAGMA journal_mode = WAL")
            self.database.execute("PRAGMA foreign_keys = ON")
            with self.changing() as database:
                (version,) = database.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in filter(str.strip, SCHEMA.split(";")):
                        database.execute(statement)
                    database.execute(f"PRAGMA user_version = {VERSION}")
        except (OSError, sqlite3.Error) as error:
            raise DebfleetError("could not open the queue", where=str(path), why=str(error)) from error
        if version > VERSION:
            self.close()
            raise DebfleetError("the queue was written by a newer debfleet", where=str(path), hint="use that one")

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    @contextlib.contextmanager
    def changing(self, *, lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that may write: it waits for its turn, and all of it counts or nothing.

        :param lasting: whether it must outlive a loss of power; without, it is synced with the next one that must.
        :raises DebfleetError: when the file can't be written: the disk is full, or it is held for long.
        """
        try:
            self.database.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield self.database
                self.database.execute("COMMIT")
            except BaseException:
                if self.database.in_transaction:
                    self.database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise DebfleetError("could not change the queue", where=str(self.path), why=str(error)) from error

    def add(self, run: str, tasks: Iterable[Task]) -> list[Task]:
        """Write the tasks down that the run doesn't have yet. Returns the others."""
        already = []
        with self.changing() as database:
            for task in sorted(tasks, key=lambda task: -task.esttime):
                of_run = replace(task, run=run)
                text = json.dumps(of_run.to_dict())
                row = (run, task.path, text, task.kind, task.arch, task.size_class, task.esttime)
                done = database.execute(INSERT, row)
                already += [] if done.rowcount else [of_run]
        return already

    def position(self, run: str, task: Task) -> Position | None:
        """Where a task of a run is; None when the run doesn't have it."""
        found = self.database.execute(
            "SELECT id, state, attempt > 1, arch, size_class, esttime FROM tasks WHERE run = ? AND path = ?",
            (run, task.path),
        ).fetchone()
        if found is None:
            return None
        number, state, alone, arch, size_class, esttime = found
        if state != "waiting":
            return Position(state)
        (before,) = self.database.execute(BEFORE, (alone, arch, alone, size_class, esttime, esttime, number)).fetchone()
        return Position(state, before + 1)

    def counts(self) -> Mapping[str, Counts]:
        """How many tasks of each run are in each state."""
        counts: dict[str, Counts] = {}
        rows = self.database.execute(
            "SELECT run, state, attempt > 1, count(*) FROM tasks GROUP BY run, state, attempt > 1 ORDER BY run"
        )
        for run, state, alone, count in rows:
            before = counts.get(run, Counts())
            after = replace(before, **{state: getattr(before, state) + count})
            counts[run] = replace(after, alone=count) if state == "waiting" and alone else after
        return counts

    def dead(self, run: str = "") -> list[Dead]:
        """The tasks of a run, or of all, that failed for good."""
        rows = self.database.execute(
            "SELECT id, task FROM tasks WHERE state = 'dead' AND (run = ? OR ? = '') ORDER BY run, id", (run, run)
        ).fetchall()
        return [Dead(task_of(text), tuple(self.failures(number))) for number, text in rows]

    def failures(self, number: int) -> list[Failure]:
        """The failures of the task with this number."""
        rows = self.database.execute(
            "SELECT attempt, worker, why, time FROM failures WHERE id = ? ORDER BY attempt, time", (number,)
        )
        return [Failure(*row) for row in rows]

    def failed(self, database: sqlite3.Connection, number: int, attempt: int, worker: str, why: str) -> None:
        """Write a failure down, within a transaction."""
        row = (number, attempt, worker, why, time.time())
        database.execute("INSERT INTO failures (id, attempt, worker, why, time) VALUES (?, ?, ?, ?, ?)", row)

    def purge(self, run: str) -> int:
        """Forget a run. Returns how many tasks that were. Raises DebfleetError while one of them is running."""
        with self.changing() as database:
            refuse_live(run, self.counts())
            return database.execute("DELETE FROM tasks WHERE run = ?", (run,)).rowcount


def refuse_live(run: str, counts: Mapping[str, Counts]) -> None:
    """Raise DebfleetError when there is no such run, or a task of it is running."""
    if run not in counts:
        known = ", ".join(counts) or "none"
        raise DebfleetError(f"the queue has no run {run}", hint=f"those that it has: {known}")
    if running := counts[run].running:
        raise DebfleetError(
            f"the run {run} is live", why=f"{running} of its tasks are running", hint="stop its workers, or wait"
        )


def task_of(text: str) -> Task:
    """A task as the register or a message has it."""
    read: dict[str, Any] = json.loads(text)
    return Task.from_dict(read)
