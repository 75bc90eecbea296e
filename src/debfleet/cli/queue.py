# SPDX-License-Identifier: GPL-3.0-or-later
"""`debfleet queue`: what waits, runs, is done and failed for good; and a run's end."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from debfleet.common.errors import OK

if TYPE_CHECKING:
    from debfleet.queue.interface import Queue


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    status = verbs.add_parser("status", help="how many tasks of each run wait, run, are done and failed for good")
    status.add_argument("--json", action="store_true", help="print it as JSON")
    status.set_defaults(run=run_status)
    dead = verbs.add_parser(
        "dead",
        help="tasks that failed for good, with why",
        description="The tasks that failed twice, the second time alone on their node, with what each attempt said.",
    )
    dead.add_argument("name", nargs="?", default="", metavar="RUN", help="of this run only")
    dead.add_argument("--json", action="store_true", help="print them as JSON")
    dead.set_defaults(run=run_dead)
    purge = verbs.add_parser(
        "purge",
        help="forget a run",
        description="Forget all tasks of a run: those that wait are not done any more. A run of which a task is "
        "running is refused. Without --yes nothing is done but told.",
    )
    purge.add_argument("name", metavar="RUN", help="the run")
    purge.add_argument("--yes", action="store_true", help="do it")
    purge.set_defaults(run=run_purge)
    for verb in (status, dead, purge):
        add_address(verb)


def add_address(parser: argparse.ArgumentParser) -> None:
    """Add the option that says which queue is meant."""
    parser.add_argument(
        "--queue", metavar="URL", help="the queue (default: DEBFLEET_QUEUE, else the embedded one of this user)"
    )


@contextlib.contextmanager
def opened(args: argparse.Namespace) -> Iterator[Queue]:
    """The queue that was named."""
    from debfleet.queue import address

    queue = address.opened(args.queue or address.default())
    with contextlib.closing(queue):
        yield queue


def run_status(args: argparse.Namespace) -> int:
    """Print the counts of each run."""
    with opened(args) as queue:
        counts = queue.counts()
    if args.json:
        told = {run: asdict(one) for run, one in counts.items()}
        print(json.dumps({"schema_version": 1, "runs": told}, indent=2, ensure_ascii=False))
        return OK
    if not counts:
        print("the queue is empty")
        return OK
    width = max(len(run) for run in ("run", *counts))
    print(f"{'run':{width}}  waiting  (alone)  running  done  failed")
    for run, one in counts.items():
        print(f"{run:{width}}  {one.waiting:7}  {one.alone:7}  {one.running:7}  {one.done:4}  {one.dead:6}")
    return OK


def run_dead(args: argparse.Namespace) -> int:
    """Print what failed for good."""
    with opened(args) as queue:
        found = queue.dead(args.name)
    if args.json:
        tasks = [
            {"task": one.task.to_dict(), "failures": [asdict(failure) for failure in one.failures]} for one in found
        ]
        print(json.dumps({"schema_version": 1, "dead": tasks}, indent=2, ensure_ascii=False))
        return OK
    for one in found:
        print(f"{one.task.run}/{one.task.path}")
        for failure in one.failures:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(failure.time))
            print(f"  attempt {failure.attempt}, {when}, {failure.worker or 'a worker without a name'}: {failure.why}")
    if not found and not args.quiet:
        print("nothing failed for good")
    return OK


def run_purge(args: argparse.Namespace) -> int:
    """Forget a run, or tell what that would be."""
    from debfleet.queue.register import refuse_live

    with opened(args) as queue:
        counts = queue.counts()
        refuse_live(args.name, counts)
        one = counts[args.name]
        what = f"{one.waiting} waiting, {one.done} done and {one.dead} failed tasks of {args.name}"
        if not args.yes:
            print(f"would forget {what}; --yes does it")
            return OK
        print(f"forgot {queue.purge(args.name)} tasks: {what}")
    return OK
