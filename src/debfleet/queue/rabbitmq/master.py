# SPDX-License-Identifier: GPL-3.0-or-later
"""The master's side: it submits tasks, and knows from what workers tell what became of them.

What the broker can't say (which task is where, whether it was queued before) stands in the master's register.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from debfleet.common.errors import DebfleetError
from debfleet.queue.interface import Counts, Dead, Position, Submitted
from debfleet.queue.register import Register, refuse_live, task_of
from debfleet.tasks.task import Task

from . import events, names
from .connection import Address, told
from .publish import Message, publish

BATCH = 500  # messages that are taken at once
# RabbitMQ 3.10 that is killed less than half a second after it made a quorum queue never opens it again: so nothing is
# put into one that young.
SETTLE = 1.0  # seconds
PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds until a broker that has an internal error is asked again
INTERNAL_ERROR = 541
WAIT = 5.0  # seconds for a message that the broker said it has
UNPUBLISHED = "SELECT id, task, kind, arch, size_class FROM tasks WHERE run = ? AND NOT published ORDER BY id"
HELD = "SELECT DISTINCT kind, arch, size_class, attempt > 1 FROM tasks WHERE state = 'running'"
OPEN = """
    SELECT count(*) FROM tasks WHERE arch = ? AND state IN ('waiting', 'running') AND published AND (attempt > 1) = ?
    AND (? OR (kind = ? AND size_class = ?))
"""
RELEASE = """
    UPDATE tasks SET state = 'waiting' WHERE state = 'running' AND arch = ? AND (attempt > 1) = ?
    AND (? OR (kind = ? AND size_class = ?))
"""


class Master:
    """The master's side of a queue at an address."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.register = Register(address.register)
        self._connection: Any = None
        self._made: set[str] = set()  # the queues that this object made, or saw that they were there

    def close(self) -> None:
        """Close the connection and the register."""
        if self._connection is not None and self._connection.is_open:
            with contextlib.suppress(Exception):
                self._connection.close()
        self.register.close()

    @contextlib.contextmanager
    def _channel(self, doing: str) -> Iterator[Any]:
        """A channel, on a connection that is made anew where the last one broke. Raises DebfleetError without one."""
        with told(self.address, doing):
            if self._connection is not None:
                with contextlib.suppress(Exception):  # a connection that broke meanwhile is found here
                    self._connection.process_data_events(0)
            if self._connection is None or not self._connection.is_open:
                import pika

                self._connection = pika.BlockingConnection(self.address.parameters())
            channel = self._connection.channel()
            try:
                yield channel
            finally:
                if channel.is_open:
                    channel.close()

    def submit(self, run: str, tasks: Sequence[Task]) -> Submitted:
        """Queue the tasks of a run, longest first; those too that an earlier submission was cut off from publishing."""
        already = self.register.add(run, tasks)
        rows = self.register.database.execute(UNPUBLISHED, (run,)).fetchall()
        queues = {(kind, arch, size_class) for _, _, kind, arch, size_class in rows}
        self._make(queues)
        messages = [
            Message(names.tasks(kind, arch, size_class), text.encode(), {"attempt": 1})
            for _, text, kind, arch, size_class in rows
        ]

        def confirmed(indices: Sequence[int]) -> None:
            with self.register.changing() as database:
                numbers = [(rows[index][0],) for index in indices]
                database.executemany("UPDATE tasks SET published = 1 WHERE id = ?", numbers)

        publish(self.address, messages, confirmed)
        return Submitted(len(tasks) - len(already), tuple(already))

    def _make(self, queues: set[tuple[str, str, str]]) -> None:
        """Make the queues that there aren't yet. A broker that has just come back is asked again."""
        for pause in (*PAUSES, None):
            try:
                with self._channel("make the queues") as channel:
                    names.declare(channel)
                    for kind, arch, size_class in sorted(queues):
                        names.declare_tasks(channel, names.tasks(kind, arch, size_class), arch)
                    made = {names.tasks(*queue) for queue in queues}
                    if made - self._made:
                        self._connection.sleep(SETTLE)
                    self._made |= made
                return
            except DebfleetError as error:
                if pause is None or getattr(error.__cause__, "reply_code", None) != INTERNAL_ERROR:
                    raise
                time.sleep(pause)

    def position(self, run: str, task: Task) -> Position | None:
        """Where a task of a run is; None when the run doesn't have it."""
        self.collect()
        return self.register.position(run, task)

    def counts(self) -> Mapping[str, Counts]:
        """How many tasks of each run are in each state."""
        self.collect()
        return self.register.counts()

    def dead(self, run: str = "") -> list[Dead]:
        """The tasks of a run, or of all, that failed for good, or that the broker gave up on."""
        self.collect()
        return self.register.dead(run)

    def collect(self) -> None:
        """Write down what workers told since, and let tasks wait again that nobody holds any more."""
        with self._channel("read what workers told") as channel:
            names.declare(channel)
            for queue, apply in (
                (names.RESULTS, self._event),
                (names.MOMENTS, self._event),
                (names.DEAD, self._given_up),
            ):
                while bodies := self._take(channel, queue, apply):
                    if bodies < BATCH:
                        break
            self._look_for_lost(channel)

    def _take(self, channel: Any, queue: str, apply: Any) -> int:
        """Take a batch of messages: they are acknowledged once the register has them. Returns how many those were."""
        ready = min(BATCH, channel.queue_declare(queue, passive=True).method.message_count)
        if not ready:
            return 0
        channel.basic_qos(prefetch_count=ready)
        last, count = None, 0
        with self.register.changing() as database:
            for method, properties, body in channel.consume(queue, inactivity_timeout=WAIT):
                if method is None:
                    break
                last, count = method.delivery_tag, count + 1
                apply(database, properties, body)
                if count == ready:
                    break
        if last is not None:
            channel.basic_ack(last, multiple=True)
        channel.cancel()
        return count

    def _event(self, database: sqlite3.Connection, _properties: Any, body: bytes) -> None:
        """What a worker told. What is none of ours is passed over."""
        with contextlib.suppress(ValueError, TypeError):
            events.apply(self.register, database, events.Event.read(body))

    def _given_up(self, database: sqlite3.Connection, properties: Any, body: bytes) -> None:
        """A task that the broker gave up on."""
        with contextlib.suppress(ValueError, TypeError):
            task = task_of(body.decode())
            headers = properties.headers or {}
            reason = next((death.get("reason") for death in headers.get("x-death") or ()), "unknown")
            why = f"the broker gave up on it ({reason}), after it was lost or given back up to {names.DELIVERIES} times"
            attempt = int(headers.get("attempt", 1))
            events.apply(self.register, database, events.Event.of("dead", task, attempt, "", why))

    def _look_for_lost(self, channel: Any) -> None:
        """Let the tasks wait again of queues in which as many are ready as are not over: nobody holds one."""
        for kind, arch, size_class, alone in self.register.database.execute(HELD).fetchall():
            queue = names.alone(arch) if alone else names.tasks(kind, arch, size_class)
            which = (arch, alone, alone, kind, size_class)
            ready = channel.queue_declare(queue, passive=True).method.message_count
            (left,) = self.register.database.execute(OPEN, which).fetchone()
            if ready >= left:
                with self.register.changing() as database:
                    database.execute(RELEASE, which)

    def purge(self, run: str) -> int:
        """Forget a run: its messages are taken out of their queues. Raises DebfleetError while one is running."""
        refuse_live(run, self.counts())
        rows = self.register.database.execute(
            "SELECT DISTINCT kind, arch, size_class, attempt > 1 FROM tasks WHERE run = ? AND state = 'waiting'", (run,)
        ).fetchall()
        queues = {names.alone(arch) if alone else names.tasks(kind, arch, size) for kind, arch, size, alone in rows}
        for queue in sorted(queues):
            with self._channel(f"purge {queue}") as channel:
                self._rotate(channel, queue, run)
        return self.register.purge(run)

    def _rotate(self, channel: Any, queue: str, run: str) -> None:
        """Go once through a queue: what is another run's goes to its end, in the same order."""
        left = channel.queue_declare(queue, passive=True).method.message_count
        while left > 0:
            kept, last = [], None
            for _ in range(min(left, BATCH)):
                method, properties, body = channel.basic_get(queue)
                if method is None:
                    left = 0
                    break
                last = method.delivery_tag
                left -= 1
                if task_of(body.decode()).run != run:
                    headers = {name: value for name, value in (properties.headers or {}).items() if name == "attempt"}
                    kept.append(Message(queue, body, headers))
            if kept:
                publish(self.address, kept, lambda _: None)
            if last is not None:
                channel.basic_ack(last, multiple=True)
