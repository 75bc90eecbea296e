# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of tasks as JSON Lines: a task a line; empty lines and lines that begin with # are passed over."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from debfleet.common.errors import DebfleetError

from .task import Task

STANDARD = "-"  # standard input or output


def text_of(file: str) -> str:
    """The text of a file, or of standard input. Raises DebfleetError when it can't be read."""
    try:
        raw = sys.stdin.buffer.read() if file == STANDARD else Path(file).read_bytes()
        return raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DebfleetError("could not read the list of tasks", where=file, why=str(error)) from error


def decoded(text: str) -> Iterator[tuple[int, Any]]:
    """For each line its number and what it says: any JSON, or the ValueError that says why it is none."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, error if isinstance(error, ValueError) else ValueError("it is nested too deeply")


def line_of(task: Task) -> str:
    """A task as a line, without its end."""
    return json.dumps(task.to_dict(), ensure_ascii=False, separators=(", ", ": "))


def dumped(tasks: Iterable[Task]) -> str:
    """Tasks as JSON Lines."""
    return "".join(f"{line_of(task)}\n" for task in tasks)


def write(tasks: Iterable[Task], file: str) -> None:
    """Write a list whole or not at all, or to standard output. Raises DebfleetError when it can't be written."""
    text = dumped(tasks)
    if file == STANDARD:
        sys.stdout.write(text)
        return
    path = Path(file).absolute()
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise DebfleetError("could not write the list of tasks", where=file, why=str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink()
