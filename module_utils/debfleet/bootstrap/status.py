# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt says: its own progress (APT::Status-Fd), told as the build's, and why it failed."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator

from .. import journal

PAUSE = 0.25  # seconds between two notes


@contextlib.contextmanager
def told(what: str) -> Iterator[int]:
    """A descriptor for apt's Status-Fd, whose lines are told as progress of the build."""
    reading, writing = os.pipe()

    def follow() -> None:
        with os.fdopen(reading, encoding="utf-8", errors="replace") as lines:
            last = 0.0
            for line in lines:
                step = parse_status(line)
                if step and (time.monotonic() - last > PAUSE or step[1] >= 100):
                    last = time.monotonic()
                    journal.tell(f"{what}: {step[0]}", step[1], 100)

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    try:
        yield writing
    finally:
        os.close(writing)
        reader.join(timeout=5)


def parse_status(line: str) -> tuple[str, float] | None:
    """One line of APT::Status-Fd as what happens and the percentage. None where it says nothing worth showing."""
    words = line.rstrip("\n").split(":", 3)
    if len(words) != 4 or words[0] not in ("dlstatus", "pmstatus"):
        return None
    try:
        percent = float(words[2])
    except ValueError:
        return None
    text = words[3].strip()
    return (text[:1].lower() + text[1:], max(0.0, min(percent, 100.0))) if text else None


def reasons(output: str) -> str:
    """The lines that say why: dpkg's error with the words of the script before it, else what apt calls errors."""
    lines = [line for line in output.splitlines() if line.strip() and "Sub-process env returned" not in line]
    at = next((number for number, line in enumerate(lines) if line.startswith("dpkg: error")), None)
    if at is not None:
        return "\n".join(lines[max(0, at - 6) : at + 15])
    found = [line for line in lines if re.match(r"(E: |Err:| \S+ : (Pre-)?Depends:)", line)]
    return "\n".join(found or lines[-15:])
