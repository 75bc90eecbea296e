# SPDX-License-Identifier: GPL-3.0-or-later
"""Many messages published at once: a thousand on their way, each counted only when the broker confirmed it.

One by one, each waits for the broker's disk. A broker that goes away, or refuses one, is waited for: what it had not
confirmed is published again, so a message may come twice, and is never lost.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from debfleet.common.errors import DebfleetError

from .connection import Address

WINDOW = 1000  # messages on their way
PATIENCE = 300.0  # seconds without a single confirmation
PAUSE = 1.0  # seconds between tries to reach a broker that is away


@dataclass(frozen=True)
class Message:
    """A message, and the queue it is for."""

    queue: str
    body: bytes
    headers: Mapping[str, Any] = field(default_factory=dict)


def publish(
    address: Address,
    messages: Sequence[Message],
    confirmed: Callable[[Sequence[int]], None],
    patience: float = PATIENCE,
) -> None:
    """Publish messages in their order, until the broker confirmed each.

    :param confirmed: told the indices of messages as they are confirmed, some at a time.
    :raises DebfleetError: when there is no such queue, or the broker goes on refusing, or stays away.
    """
    left = dict(enumerate(messages))
    end = time.monotonic() + patience
    while left:
        pipeline = _Pipeline(address, left)
        done, problem, final = pipeline.run()
        if done:
            confirmed(done)
            end = time.monotonic() + patience
        for index in done:
            del left[index]
        if left and (final or time.monotonic() > end):
            raise DebfleetError(
                "could not publish all tasks",
                where=address.shown,
                why=f"{problem or 'the connection was closed'}; {len(left)} of {len(messages)} are left",
                hint="submit again: only what is missing is published",
            )
        if left:
            time.sleep(PAUSE)


class _Pipeline:
    """One connection's worth of publishing."""

    def __init__(self, address: Address, messages: Mapping[int, Message]) -> None:
        import pika

        self._pika = pika
        self._todo = deque(messages.items())
        self._unconfirmed: dict[int, int] = {}  # index by delivery tag, in order
        self._tag = 0
        self._done: list[int] = []
        self._problem, self._final = "", False
        self._channel: Any = None
        self._connection: Any = pika.SelectConnection(
            address.parameters(),
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
            on_open_error_callback=self._ended,
            on_close_callback=self._ended,
        )

    def run(self) -> tuple[list[int], str, bool]:
        """Publish until all is confirmed or the connection ends: what was confirmed, what was wrong, if for good."""
        self._connection.ioloop.start()
        return self._done, self._problem, self._final

    def _opened(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(self._confirmed, callback=lambda _: self._fill())

    def _fill(self) -> None:
        while self._todo and len(self._unconfirmed) < WINDOW and not self._final:
            index, message = self._todo.popleft()
            self._tag += 1
            self._unconfirmed[self._tag] = index
            properties = self._pika.BasicProperties(delivery_mode=2, headers=dict(message.headers))
            self._channel.basic_publish("", message.queue, message.body, properties, mandatory=True)
        if not self._todo and not self._unconfirmed:
            self._close()

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        tags = [method.delivery_tag]
        if method.multiple:
            tags = [tag for tag in self._unconfirmed if tag <= method.delivery_tag]
        indices = [self._unconfirmed.pop(tag) for tag in tags if tag in self._unconfirmed]
        if method.NAME == "Basic.Nack":
            self._problem = "the broker refused a task"  # it may take it later: a queue was just coming back
            self._close()
        elif not self._final:
            self._done += indices
            self._fill()

    def _returned(self, _channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
        self._problem, self._final = f"there is no queue {method.routing_key}", True
        self._close()

    def _channel_closed(self, _channel: Any, reason: Any) -> None:
        if not self._connection.is_closing and not self._connection.is_closed:
            self._problem = str(reason)
            self._close()

    def _close(self) -> None:
        if not self._connection.is_closing and not self._connection.is_closed:
            self._connection.close()

    def _ended(self, _connection: Any, reason: Any) -> None:
        self._problem = self._problem or str(reason) or repr(reason)
        self._connection.ioloop.stop()
