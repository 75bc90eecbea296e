# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker for tests of queues, in a process of its own, that may be killed at any time.

    python queue_worker.py URL FOLDER

It commits a task by making a file in the folder, which only one can make, and ends when a file `stop` is there.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from debfleet.common.errors import DebfleetError
from debfleet.queue import address
from debfleet.queue.interface import LeaseLostError, Wanted


def work(url: str, folder: Path) -> None:
    queue = address.opened(url)
    wanted = Wanted(("amd64", "arm64"), ("rebuild",), worker=str(os.getpid()))
    while not (folder / "stop").exists():
        try:
            lease = queue.pull(wanted)
        except DebfleetError:
            time.sleep(0.2)
            continue
        if lease is None:
            time.sleep(0.05)
            continue
        with open(folder / "executions", "a") as log:
            log.write(f"{lease.task.path}\n")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(folder / f"{lease.task.package}.{lease.attempt}", os.O_CREAT | os.O_EXCL))
        with contextlib.suppress(LeaseLostError):
            queue.acknowledge(lease)
    queue.close()


if __name__ == "__main__":
    work(sys.argv[1], Path(sys.argv[2]))
