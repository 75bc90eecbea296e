# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a task will take, how much memory it needs, and so which class of node it runs on.

Longest first stays near the best there is even with rough estimates; what hurts is a long task that was taken for a
short one. So what nothing is known of counts as long.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from debfleet.common.errors import DebfleetError

from .task import Task

MIB = 1 << 20
GIB = 1 << 30
LONG = 4 * 3600  # seconds of what nothing is known of
LEAST = 30  # seconds that any task takes by its size: a chroot made, dependencies installed
PER_MIB = 60.0  # seconds for a MiB of compressed source, where too few real times are known to tell
MOST = 12 * 3600  # seconds that a size is believed to mean: beyond it, it is mostly data
ENOUGH = 20  # so many real times tell it better
MEMORY_ROOM = 1.25  # what is added to the memory that was seen
# The most memory, in bytes, that a task of each class needs; a huge one needs more.
LIMITS = (("small", 4 * GIB), ("medium", 8 * GIB), ("large", 32 * GIB))
LIKELY = (("small", 30 * MIB), ("medium", 100 * MIB))  # size of the source, where no memory was seen; beyond it: large
SUCCESS = "success"


@dataclass(frozen=True)
class Seen:
    """What was seen of a task before: seconds, bytes of memory, and who saw it (database or results)."""

    seconds: int | None
    memory: int | None
    origin: str


History = Mapping[tuple[str, str, str], Seen]  # by kind, architecture and package


def results(folder: Path) -> dict[tuple[str, str, str], Seen]:
    """What earlier results of ours say: RUN/KIND/SUITE/ARCH/PACKAGE/VERSION/result.json below the folder.

    Read are `outcome`, `seconds` and `peak_memory` (bytes). The newest success tells the time; the most memory that
    any attempt took tells the need.

    :raises DebfleetError: when there is no such folder, or a result can't be read.
    """
    if not folder.is_dir():
        raise DebfleetError("there is no such folder of results", where=str(folder))
    seen: dict[tuple[str, str, str], Seen] = {}
    for kind, arch, package, file in sorted(_result_files(folder), key=lambda found: found[3].stat().st_mtime):
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            good = said.get("outcome") == SUCCESS
            seconds = round(float(said["seconds"])) if good and said.get("seconds") is not None else None
            memory = int(said["peak_memory"]) if said.get("peak_memory") else None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise DebfleetError("could not read an earlier result", where=str(file), why=str(error)) from error
        before = seen.get((kind, arch, package), Seen(None, None, "results"))
        most = max(memory or 0, before.memory or 0) or None
        seen[kind, arch, package] = Seen(before.seconds if seconds is None else seconds, most, "results")
    return seen


def _result_files(folder: Path) -> Iterator[tuple[str, str, str, Path]]:
    for file in folder.glob("*/*/*/*/*/*/result.json"):
        _run, kind, _suite, arch, package, _version, _ = file.relative_to(folder).parts
        yield kind, arch, package, file


def known(histories: Sequence[History], task: Task) -> Seen:
    """What is known of a task: time and memory each from the first history that has it."""
    found = [seen for history in histories if (seen := history.get((task.kind, task.arch, task.package)))]
    timed = next((seen for seen in found if seen.seconds is not None), None)
    memory = next((seen.memory for seen in found if seen.memory is not None), None)
    return Seen(timed.seconds if timed else None, memory, timed.origin if timed else "")


def estimated(tasks: Sequence[Task], sizes: Sequence[int | None], histories: Sequence[History]) -> list[Task]:
    """The tasks with their estimates and classes.

    :param sizes: of each task's source package in bytes; None where it isn't known.
    :param histories: the one that is believed most comes first.
    """
    seen = [known(histories, task) for task in tasks]
    rates = [
        max(0, one.seconds - LEAST) / size
        for one, size in zip(seen, sizes, strict=True)
        if one.seconds is not None and size
    ]
    rate = statistics.median(rates) if len(rates) >= ENOUGH else PER_MIB / MIB
    return [_estimated(task, size, one, rate) for task, size, one in zip(tasks, sizes, seen, strict=True)]


def _estimated(task: Task, size: int | None, seen: Seen, rate: float) -> Task:
    if seen.seconds is not None:
        seconds, origin = seen.seconds, seen.origin
    elif size is not None:
        seconds, origin = min(MOST, round(LEAST + rate * size)), "size"
    else:
        seconds, origin = LONG, "unknown"
    memory = round(seen.memory * MEMORY_ROOM) if seen.memory else None
    return replace(task, esttime=seconds, esttime_from=origin, memory=memory, size_class=class_of(memory, size))


def class_of(memory: int | None, size: int | None) -> str:
    """The class for a need of memory; where that isn't known, the one that the source's size makes likely."""
    if memory is not None:
        return next((name for name, limit in LIMITS if memory <= limit), "huge")
    if size is None:
        return "small"
    return next((name for name, limit in LIKELY if size <= limit), "large")
