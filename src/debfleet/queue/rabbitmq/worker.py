# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker's side: it pulls one task for each free slot, and acknowledges it once its result is committed.

A task is held by the connection it was pulled on. When that breaks, the broker lets the task wait again.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from debfleet.queue.interface import ATTEMPTS, Lease, LeaseLostError, Wanted
from debfleet.queue.register import task_of
from debfleet.tasks.task import CLASSES

from . import names
from .connection import Address, told
from .events import Event, What

AGAIN = 5.0  # seconds until a queue that isn't there is looked for again


@dataclass(frozen=True)
class _Held:
    """A message that is held: its tag, its body and headers, and who holds it."""

    tag: int
    body: bytes
    headers: dict[str, Any]
    worker: str


class Worker:
    """A worker's side of a queue at an address. It has to make itself heard (extend, pull) within the heartbeat."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._connection: Any = None
        self._tasks: Any = None  # the channel that tasks are pulled and acknowledged on
        self._confirmed: Any = None  # the one on which what must not be lost is told
        self._told: Any = None  # the one on which the rest is
        self._held: dict[str, _Held] = {}
        self._missing: dict[str, float] = {}
        self._known: set[str] = set()

    def close(self) -> None:
        """Close the connection. Tasks that are still held wait again at once."""
        if self._connection is not None and self._connection.is_open:
            with contextlib.suppress(Exception):
                self._connection.close()
        self._held.clear()

    def _open(self) -> None:
        """Connect, where there is no connection yet, or it broke: then all that was held is lost."""
        import pika

        if self._connection is not None:
            if self._connection.is_open and self._tasks.is_open and self._confirmed.is_open and self._told.is_open:
                return
            with contextlib.suppress(Exception):
                self._connection.close()
        self._held.clear()
        self._known.clear()
        self._connection = pika.BlockingConnection(self.address.parameters())
        self._tasks, self._confirmed, self._told = (self._connection.channel() for _ in range(3))
        self._confirmed.confirm_delivery()

    def pull(self, wanted: Wanted) -> Lease | None:
        """Take a waiting task: the longest of the largest class that has one. Raises DebfleetError without a broker."""
        with told(self.address, "pull a task"):
            self._open()
            for queue in self._queues(wanted):
                if not self._there(queue):
                    continue
                method, properties, body = self._tasks.basic_get(queue)
                if method is not None:
                    return self._lease(method.delivery_tag, dict(properties.headers or {}), body, wanted.worker)
        return None

    def _queues(self, wanted: Wanted) -> list[str]:
        if wanted.alone:
            return [names.alone(arch) for arch in wanted.architectures]
        classes = sorted(wanted.classes, key=CLASSES.index, reverse=True)
        return [
            names.tasks(kind, arch, size) for size in classes for arch in wanted.architectures for kind in wanted.kinds
        ]

    def _there(self, queue: str) -> bool:
        """Whether a queue is there: asked on a channel of its own, for the broker closes one that asks in vain."""
        import pika.exceptions

        if queue in self._known:
            return True
        if time.monotonic() < self._missing.get(queue, 0.0):
            return False
        scratch = self._connection.channel()
        try:
            scratch.queue_declare(queue, passive=True)
            scratch.close()
        except pika.exceptions.ChannelClosedByBroker:
            self._missing[queue] = time.monotonic() + AGAIN
            return False
        self._known.add(queue)
        return True

    def _lease(self, tag: int, headers: dict[str, Any], body: bytes, worker: str) -> Lease:
        token, attempt = uuid.uuid4().hex, int(headers.get("attempt", 1))
        self._held[token] = _Held(tag, body, headers, worker)
        interruptions = int(headers.get("x-delivery-count", 0))
        lease = Lease(task_of(body.decode()), attempt, interruptions, token)
        self._tell("started", lease, self._told)
        return lease

    def _tell(self, what: What, lease: Lease, channel: Any, why: str = "") -> None:
        event = Event.of(what, lease.task, lease.attempt, self._held[lease.token].worker, why)
        self._publish(channel, names.EVENT if channel is self._confirmed else names.MOMENT, event.body(), {})

    def _publish(self, channel: Any, key: str, body: bytes, headers: dict[str, Any]) -> None:
        """Publish by the exchange that workers may use; where that is confirmed, the broker has it on its disk then."""
        import pika

        properties = pika.BasicProperties(delivery_mode=2 if channel is self._confirmed else 1, headers=headers)
        channel.basic_publish(names.RESULTS, key, body, properties, mandatory=channel is self._confirmed)

    @contextlib.contextmanager
    def _holding(self, lease: Lease) -> Iterator[_Held]:
        """What is held. Raises LeaseLostError when it isn't any more, also where that is found only now."""
        import pika.exceptions

        held = self._held.get(lease.token)
        if held is None or not self._tasks.is_open:
            self._held.pop(lease.token, None)
            raise LeaseLostError(lease.task)
        try:
            yield held
        except (pika.exceptions.AMQPError, OSError) as error:
            self._held.pop(lease.token, None)
            raise LeaseLostError(lease.task) from error

    def extend(self, lease: Lease) -> None:
        """Keep a task: the broker hears of us. Raises LeaseLostError."""
        with self._holding(lease):
            self._connection.process_data_events(0)
            if not self._tasks.is_open:  # closed by the broker, which pika tells nobody
                self._held.pop(lease.token, None)
                raise LeaseLostError(lease.task)

    def acknowledge(self, lease: Lease) -> None:
        """Its result is committed: the task is done. Raises LeaseLostError."""
        with self._holding(lease) as held:
            self._tell("done", lease, self._confirmed)
            self._tasks.basic_ack(held.tag)
            del self._held[lease.token]

    def give_back(self, lease: Lease) -> None:
        """It could not be finished here: it waits again, which counts as no failure. Raises LeaseLostError."""
        with self._holding(lease) as held:
            self._tell("back", lease, self._told)
            self._tasks.basic_nack(held.tag, requeue=True)
            del self._held[lease.token]

    def fail(self, lease: Lease, why: str) -> bool:
        """It failed: it waits to be run alone, or is dead. Returns whether it is dead. Raises LeaseLostError."""
        dead = lease.attempt >= ATTEMPTS
        with self._holding(lease) as held:
            if not dead:
                again = {"attempt": lease.attempt + 1}
                self._publish(self._confirmed, names.alone_key(lease.task.arch), held.body, again)
            self._tell("dead" if dead else "alone", lease, self._confirmed, why)
            self._tasks.basic_ack(held.tag)
            del self._held[lease.token]
        return dead
