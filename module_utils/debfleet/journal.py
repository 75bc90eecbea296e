# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a build, and where its progress is told. Both are files that any process of the build may append to.

A module says ``with journal.writing(folder, secrets):`` once; what it calls then logs and tells without being handed
anything. Outside of such a block nothing is written.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOG = "build.log"
PROGRESS = "progress"
FAILED = "failed.json"  # the command that failed last, for who wants to look at it
MASK = "********"


@dataclass(frozen=True)
class Journal:
    """A folder with a log and a progress file, and the strings that must never be written to either."""

    folder: Path
    secrets: tuple[str, ...] = ()

    def masked(self, text: str) -> str:
        """The text without any secret."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text

    def append(self, name: str, text: str) -> None:
        """Append to a file of the folder; one write, so that lines of several processes do not mix."""
        fd = os.open(self.folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, self.masked(text).encode(errors="replace"))
        finally:
            os.close(fd)


_current: Journal | None = None  # of the process, not of a context: the threads that read a program's output log too


@contextlib.contextmanager
def writing(build: str | Path | None, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Log and tell into this folder until the block ends; with None, nowhere."""
    global _current
    before, _current = _current, Journal(Path(build), tuple(s for s in secrets if s)) if build else None
    try:
        yield
    finally:
        _current = before


def folder() -> Path | None:
    """The folder that is written into, if any."""
    return _current.folder if _current else None


def log(text: str) -> None:
    """Write lines to the log, each with the time of day."""
    if journal := _current:
        stamp = time.strftime("%H:%M:%S")
        journal.append(LOG, "".join(f"{stamp} {line}\n" for line in text.splitlines()))


def tell(what: str, done: float | None = None, of: float | None = None) -> None:
    """Tell what runs now, and how far it is: ``done`` of ``of``, in any unit."""
    if journal := _current:
        note = {"what": what, "done": done, "of": of, "time": time.time()}
        journal.append(PROGRESS, json.dumps(note) + "\n")


def failed(**command: Any) -> None:
    """Write down a command that failed, in place of an earlier one; every text in it is masked."""
    if journal := _current:
        path = journal.folder / FAILED
        new = path.with_name(f"{FAILED}.{os.getpid()}")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump({**_masked(command), "time": time.time()}, file)
        new.replace(path)


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(item) for item in value]
    return masked(value) if isinstance(value, str) else value


def record(name: str, what: Mapping[str, Any]) -> None:
    """Append a line of JSON to a file of the folder, for whoever sums the build up."""
    if journal := _current:
        journal.append(name, json.dumps(what) + "\n")


def masked(text: str) -> str:
    """The text without the secrets of the current journal."""
    return _current.masked(text) if _current else text
