# SPDX-License-Identifier: GPL-3.0-or-later
"""One build at a time makes what several want, and the others wait."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from .. import journal

ASK_AGAIN = 0.2


@contextlib.contextmanager
def making(folder: Path, key: str, what: str) -> Iterator[None]:
    """While this process makes something, whoever wants the same waits, and tells so.

    :param folder: of the cache that it is for; the locks lie in it.
    :param what: as ``the same tree``, for those who wait.
    """
    locks = folder / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with open(locks / key, "w", encoding="utf-8") as lock:
        start = time.monotonic()
        while not _locked(lock.fileno()):
            journal.tell(f"waiting for a build that makes {what} ({time.monotonic() - start:.0f} s)")
            time.sleep(ASK_AGAIN)
        yield


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
