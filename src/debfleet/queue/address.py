# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a queue is: `sqlite:///PATH` for the embedded one, `amqps://USER@HOST/` for RabbitMQ.

The default is a file in debfleet's state folder.
`sqlite:///PATH?lease_seconds=600` holds tasks longer than usual without a sign of life.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from debfleet.common.errors import DebfleetError
from debfleet.common.ledger import state_folder

from .interface import Queue
from .sqlite import LEASE_SECONDS, SqliteQueue

VARIABLE = "DEBFLEET_QUEUE"


def default() -> str:
    """The address that is used when none is given: DEBFLEET_QUEUE, else the embedded queue of this user."""
    return os.environ.get(VARIABLE) or f"sqlite://{state_folder()}/queue.sqlite"


def opened(url: str) -> Queue:
    """The queue at an address. Raises DebfleetError when there is none, or it can't be opened."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        if parts.netloc or not parts.path.strip("/"):
            raise DebfleetError(
                f"{url} names no file", hint="write three slashes and the file's whole path: sqlite:///…"
            )
        return SqliteQueue(Path(unquote(parts.path)), _lease_seconds(parts.query))
    if parts.scheme in ("amqp", "amqps"):
        from .rabbitmq import RabbitQueue  # with pika, which the embedded queue doesn't need

        return RabbitQueue(url)
    raise DebfleetError(f"{parts.scheme or url} is no queue that debfleet knows", hint="write sqlite:///… or amqps://…")


def _lease_seconds(query: str) -> float:
    said = parse_qs(query)
    try:
        seconds = float(said.pop("lease_seconds", [str(LEASE_SECONDS)])[0])
    except ValueError:
        seconds = 0.0
    if said or seconds <= 0:
        raise DebfleetError(f"{query} is no setting of the queue", hint="write lease_seconds=600, or nothing")
    return seconds
