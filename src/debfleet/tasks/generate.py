# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks made: the packages of an index or a database, those that are wanted of them, their estimates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from debfleet import kinds
from debfleet.common.architectures import architecture
from debfleet.common.errors import FindingsError
from debfleet.kinds import Entry, Kind

from . import archive, database, estimate, named, validate
from .archive import Repository
from .named import Named
from .select import Filter, shown
from .task import CLASSES, Task, usual_logfile


@dataclass(frozen=True)
class Wanted:
    """What tasks are asked for.

    :param suites: of each, tasks are made; `mirror`, `keyring` and `no_check` say where they are (see Repository).
    :param packages: those that were named; all of the suite when empty.
    :param udd: DSN of the database to read packages from, in the place of an index.
    :param states: with it, only sources that wanna-build has in one of these states (Failed, Build-Attempted …).
    :param wanna_build: DSN of the database that has build times.
    :param results: the folder with earlier results of ours.
    """

    kind: str
    suites: tuple[str, ...]
    architectures: tuple[str, ...]
    components: tuple[str, ...] = ("main",)
    mirror: str = ""
    keyring: str = ""
    no_check: bool = False
    packages: tuple[Named, ...] = ()
    udd: str = ""
    states: tuple[str, ...] = ()
    wanna_build: str = ""
    results: Path | None = None
    filter: Filter = field(default_factory=Filter)
    options: Mapping[str, Any] = field(default_factory=dict)
    requester: str = ""
    cause: str = ""


def generate(wanted: Wanted) -> list[Task]:
    """The tasks that are asked for, longest first.

    :raises FindingsError: when a package isn't there, the options are none of the kind's, or nothing is left.
    :raises DebfleetError: when an index, a database or a result can't be read.
    """
    kind = kinds.find(wanted.kind)
    options = validate.options(wanted.kind, wanted.options)
    # Each once, in the order in which they were asked for.
    architectures = tuple(dict.fromkeys(architecture(name).name for name in wanted.architectures))
    histories: list[estimate.History] = []
    if wanted.wanna_build and kind.builds:
        histories.append(database.build_times(wanted.wanna_build, kind.name, architectures))
    if wanted.results:
        histories.append(estimate.results(wanted.results))
    made: list[Task] = []
    for suite in dict.fromkeys(wanted.suites):
        entries = _entries(wanted, suite, kind, architectures)
        found = tasks_of(kind, suite, entries, architectures, options, histories)
        if wanted.states:
            asked = database.in_states(wanted.udd, suite, wanted.states, architectures)
            found = [task for task in found if (task.package, task.arch) in asked]
        made += found
    made = [replace(task, requester=wanted.requester, cause=wanted.cause) for task in made]
    kept = wanted.filter.tasks(made)
    if not kept:
        raise FindingsError(
            "there are no tasks left", why=f"{len(made)} were there before the filters", hint="ask for more"
        )
    return longest_first(kept)


def _entries(wanted: Wanted, suite: str, kind: Kind, architectures: Sequence[str]) -> list[Entry]:
    """The packages of a suite that are wanted."""
    if wanted.udd:
        found = database.entries(wanted.udd, suite, kind.about, wanted.components, architectures)
    else:
        repository = Repository(suite, wanted.components, wanted.mirror, wanted.keyring, wanted.no_check)
        found = archive.entries(repository, kind.about, architectures)
    if wanted.packages:
        return named.chosen(wanted.packages, found, kind.about, suite)
    kept = wanted.filter.names()
    return archive.newest((entry for entry in found if kept(entry.package)), kind.about)


def tasks_of(
    kind: Kind,
    suite: str,
    entries: Iterable[Entry],
    architectures: Sequence[str],
    options: Mapping[str, Any],
    histories: Sequence[estimate.History] = (),
) -> list[Task]:
    """The tasks that packages give, with their estimates."""
    tasks, sizes = [], []
    for entry in entries:
        for arch, chosen in kind.rows(entry, architectures, options):
            task = Task(kind.name, suite, arch, entry.package, entry.version, options=chosen)
            tasks.append(replace(task, logfile=usual_logfile(task)))
            sizes.append(entry.size)
    return estimate.estimated(tasks, sizes, histories)


def longest_first(tasks: Iterable[Task]) -> list[Task]:
    """In the order of a queue; tasks of the same time by their names, so that the order is always the same."""
    return sorted(tasks, key=lambda task: (-task.esttime, task.identity))


def summary(tasks: Sequence[Task]) -> str:
    """A list in a line or two: how many tasks of which class, how long they take, and what says so."""
    if not tasks:
        return "no tasks\n"
    total = sum(task.esttime for task in tasks)
    longest = max(tasks, key=lambda task: task.esttime)
    count = f"{len(tasks)} tasks" if len(tasks) > 1 else "1 task"
    return (
        f"{count} ({_counted(tasks, lambda task: task.size_class, CLASSES)}), {shown(total)} of work in all\n"
        f"the longest is {longest.package} on {longest.arch}, {shown(longest.esttime)}; "
        f"estimated by {_counted(tasks, lambda task: task.esttime_from, ())}\n"
    )


def _counted(tasks: Iterable[Task], what: Callable[[Task], str], order: Sequence[str]) -> str:
    counts = Counter(map(what, tasks))
    names = [name for name in order if name in counts] or sorted(counts)
    return ", ".join(f"{counts[name]} {name}" for name in names)
