# SPDX-License-Identifier: GPL-3.0-or-later
"""A node for tests of stores, in a process of its own, that may be killed at any time.

    python results_writer.py ADDRESS SPOOL TASKS

It does each task of two runs that has no final result yet, again after a failure, and ends when there is nothing left.
Its name is that of its spool's folder.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from result_strategies import place, result

from debfleet.results import address, commit
from debfleet.results.paths import Place
from debfleet.results.result import FAILURE, SUCCESS
from debfleet.results.spool import Spool


def work(where: str, folder: Path, tasks: int) -> None:
    store, spool = address.opened(where), Spool(folder)
    spool.heal()
    for number in range(tasks):
        for run in ("one", "two"):
            here = place(f"p{number}", run=run)
            while not _sent(store, spool) or commit.commit_final(store, here) is None:
                _attempt(spool, here, number, 1 + len(commit.attempts(store, here)))


def _attempt(spool: Spool, here: Place, number: int, attempt: int) -> None:
    node = spool.folder.name
    log = spool.folder.parent / f"{node}.log"
    log.write_text(f"{node} {here.path} {attempt}\n" + f"{time.time()}\n" * (1 + number % 3 * 5000))
    outcome = FAILURE if number % 3 and attempt == 1 else SUCCESS
    stamp = f"2026-11-25T01:33:{number % 60:02}Z"
    spool.add(result(here, outcome, attempt=attempt, node=node, finished=stamp, seconds=time.time() % 60), log)


def _sent(store: object, spool: Spool) -> bool:
    sent = spool.send(store)  # type: ignore[arg-type]
    assert not sent.refused, sent.refused
    return sent.down is None


if __name__ == "__main__":
    work(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
