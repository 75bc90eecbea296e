# SPDX-License-Identifier: GPL-3.0-or-later
"""What workers tell the master of a task, and what the register makes of it.

Events may come late, twice, or after what they were about: what is over stays over, and of an earlier attempt only its
failure is news.
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Literal

from debfleet.queue.register import Register
from debfleet.tasks.task import Task

What = Literal["started", "back", "alone", "done", "dead"]
FIND = "SELECT id, state, attempt FROM tasks WHERE run = ? AND path = ?"
FAILED = """
    INSERT INTO failures (id, attempt, worker, why, time) SELECT ?, ?, ?, ?, ?
    WHERE NOT EXISTS (SELECT 1 FROM failures WHERE id = ? AND attempt = ?)
"""


@dataclass(frozen=True)
class Event:
    """What became of an attempt: it was started or given back; it is to be run alone, done, or dead, with why."""

    what: What
    run: str
    path: str
    attempt: int
    worker: str = ""
    why: str = ""
    time: float = 0.0

    @classmethod
    def of(cls, what: What, task: Task, attempt: int, worker: str, why: str = "") -> Event:
        """An event that happens now."""
        return cls(what, task.run, task.path, attempt, worker, why, time.time())

    def body(self) -> bytes:
        """As a message has it."""
        return json.dumps(vars(self)).encode()

    @classmethod
    def read(cls, body: bytes) -> Event:
        """An event from a message. Raises ValueError or TypeError when it is none."""
        return cls(**json.loads(body))


def apply(register: Register, database: sqlite3.Connection, event: Event) -> None:
    """Write an event down, within a transaction. One of a run that is gone is no matter."""
    found = database.execute(FIND, (event.run, event.path)).fetchone()
    if found is None:
        return
    number, state, attempt = found
    if event.what in ("alone", "dead"):
        failure = (number, event.attempt, event.worker, event.why, event.time, number, event.attempt)
        database.execute(FAILED, failure)
    if state in ("done", "dead") or event.attempt < attempt:
        return
    match event.what:
        case "started":
            change = ("running", event.attempt)
        case "back":
            change = ("waiting", event.attempt)
        case "alone":
            change = ("waiting", event.attempt + 1)
        case _:
            change = (event.what, event.attempt)
    database.execute("UPDATE tasks SET state = ?, attempt = ? WHERE id = ?", (*change, number))
