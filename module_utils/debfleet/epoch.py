# SPDX-License-Identifier: GPL-3.0-or-later
"""The moment that a reproducible build tells everybody it is, whatever the clock says: SOURCE_DATE_EPOCH.

Most tools look at the variable by themselves. Here is what the others need.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from .errors import DebfleetError

NAME = "SOURCE_DATE_EPOCH"
LONGEST = 11  # digits, as in the names of images


def given() -> int | None:
    """Seconds since 1970 that this process was told; None where it was told none.

    :raises DebfleetError: where that is no such number, or a time to come: files that come to be while building would
        be older, and of different times.
    """
    text = os.environ.get(NAME, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > LONGEST:
        raise DebfleetError(f"{NAME} is no number of seconds since 1970", where=NAME, why=text)
    if int(text) > time.time():
        shown = datetime.fromtimestamp(int(text), UTC).isoformat()
        raise DebfleetError(
            f"{NAME} is in the future", where=NAME, why=f"{text} is {shown}", hint="give one that is past"
        )
    return int(text)


def variables() -> dict[str, str]:
    """What a program that gets an environment of its own is told of it; Python's sets have one order then, too."""
    text = os.environ.get(NAME, "")
    return {NAME: text, "PYTHONHASHSEED": "0"} if text else {}


def clamp(tree: Path, latest: int) -> int:
    """Let nothing in a tree be newer than `latest`. Returns how many entries were."""
    limit, count = latest * 10**9, 0

    def mend(path: str, status: os.stat_result) -> int:
        if status.st_mtime_ns <= limit:
            return 0
        os.utime(path, ns=(limit, limit), follow_symlinks=False)
        return 1

    folders = [str(tree)]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                count += mend(entry.path, entry.stat(follow_symlinks=False))
    return count + mend(str(tree), tree.lstat())
