# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the broker: names of queues and exchanges, their settings, and the rights of workers.

Tasks lie in `df.task.KIND.ARCH.CLASS` and, once they failed, in `df.alone.ARCH`. Workers tell what became of a task
by the exchange `df.results`: an event goes to the queue `df.results`, which the master reads, and a failed task on to
the queue where it waits to run alone. That a task was started or given back goes to `df.moments`, whose messages the
broker may lose: they cost it no disk. What the broker gives up on goes to `df.dead`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from debfleet.tasks.task import Task

if TYPE_CHECKING:
    from pika.adapters.blocking_connection import BlockingChannel

RESULTS = "df.results"
DEAD = "df.dead"
EVENT = "event"  # routing key of what the master is told
MOMENTS = "df.moments"  # what it is told too and need not know: which tasks were started and given back
MOMENT = "moment"  # its routing key
# Lost nodes and tasks that are given back both count as deliveries: the limit is far from what honest work reaches.
DELIVERIES = 1000
NO_LIMIT = 1_000_000  # RabbitMQ 4 has a limit of its own where none is told
TASKS = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERIES,
    "x-dead-letter-exchange": DEAD,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}
OTHERS = {"x-queue-type": "quorum", "x-delivery-limit": NO_LIMIT, "x-overflow": "reject-publish"}
# Of a worker's user. It can't make queues, nor publish to any, but by the exchange.
RIGHTS = {"configure": "^$", "write": r"^df\.results$", "read": r"^df\.(task|alone)\..*$"}


def tasks(kind: str, arch: str, size_class: str) -> str:
    """The queue of tasks that run beside others."""
    return f"df.task.{kind}.{arch}.{size_class}"


def alone(arch: str) -> str:
    """The queue of tasks that run alone on their node."""
    return f"df.alone.{arch}"


def alone_key(arch: str) -> str:
    """The routing key by which a failed task goes there."""
    return f"alone.{arch}"


def of(task: Task) -> str:
    """The queue that a task is submitted to."""
    return tasks(task.kind, task.arch, task.size_class)


def declare(channel: BlockingChannel) -> None:
    """Make what every run needs: first what others point to."""
    channel.exchange_declare(DEAD, "fanout", durable=True)
    channel.queue_declare(DEAD, durable=True, arguments=OTHERS)
    channel.queue_bind(DEAD, DEAD)
    channel.exchange_declare(RESULTS, "direct", durable=True)
    channel.queue_declare(RESULTS, durable=True, arguments=OTHERS)
    channel.queue_bind(RESULTS, RESULTS, EVENT)
    channel.queue_declare(MOMENTS, durable=True)
    channel.queue_bind(MOMENTS, RESULTS, MOMENT)


def declare_tasks(channel: BlockingChannel, name: str, arch: str) -> None:
    """Make a queue of tasks, and the one in which those of them wait that failed."""
    channel.queue_declare(alone(arch), durable=True, arguments=TASKS)
    channel.queue_bind(alone(arch), RESULTS, alone_key(arch))
    channel.queue_declare(name, durable=True, arguments=TASKS)
