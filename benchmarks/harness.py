# SPDX-License-Identifier: GPL-3.0-or-later
"""What every benchmark shares: subjects taken in turn, medians, a table, and build/.bench/NAME.json.

The file's shape is schemas/benchmark.json; docs/performance.md is written from such files.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import debfleet
from debfleet.common import sizes
from debfleet.common.mounts import empty
from debfleet.common.run import SEARCH

OUT = Path("build/.bench")
MEMORY = Path("/dev/shm")
LOAD = os.getloadavg()[0]  # before we add to it


@dataclass(frozen=True)
class Look:
    """What a look at a subject's result has shown: seconds of its parts, and what was counted."""

    parts: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """One thing that is measured.

    :param run: what is timed; it is given an empty folder in memory.
    :param look: what is done with its result afterwards, untimed; it raises where the result isn't what it should be.
    :param version: of the program that does the work, where it is not ours.
    """

    name: str
    run: Callable[[Path], object]
    look: Callable[[Path], Look] = lambda _folder: Look()
    version: str = ""


@dataclass
class Measured:
    """The figures of a subject, one a round."""

    subject: Subject
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)
    counts: dict[str, list[int]] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The median of its seconds."""
        return round(statistics.median(self.seconds), 2)

    def add(self, seconds: float, cpu: float, look: Look) -> None:
        """Take what one round has shown."""
        self.seconds.append(round(seconds, 2))
        self.cpu.append(round(cpu, 2))
        for name, value in look.parts.items():
            self.parts.setdefault(name, []).append(round(value, 2))
        for name, count in look.counts.items():
            self.counts.setdefault(name, []).append(count)

    def to_dict(self) -> dict[str, Any]:
        """As the file has it."""
        written: dict[str, Any] = {"subject": self.subject.name, "seconds": self.seconds, "median": self.median}
        written["cpu"] = self.cpu
        more = {"version": self.subject.version, "parts": self.parts, "counts": self.counts}
        return {**written, **{key: value for key, value in more.items() if value}}


@contextlib.contextmanager
def scratch(parent: Path = MEMORY) -> Iterator[Path]:
    """An empty folder that is gone at the end, unless something is mounted in it: then it stays, and is named."""
    folder = Path(tempfile.mkdtemp(prefix="debfleet-bench-", dir=parent))
    try:
        yield folder
    finally:
        empty(folder)
        folder.rmdir()


def cpu_seconds() -> float:
    """CPU time of this process and of all its children that have ended: what a busy machine changes least."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def interleaved(subjects: Sequence[Subject], rounds: int) -> dict[str, Measured]:
    """Measure each subject once in every round, so that a busy minute falls on all of them. Returns them by name."""
    measured = {subject.name: Measured(subject) for subject in subjects}
    for number in range(1, rounds + 1):
        for subject in subjects:
            with scratch() as folder:
                start, before = time.monotonic(), cpu_seconds()
                subject.run(folder)
                seconds, cpu = time.monotonic() - start, cpu_seconds() - before
                measured[subject.name].add(seconds, cpu, subject.look(folder))
            print(f"round {number} of {rounds}: {subject.name} {seconds:.1f} s", file=sys.stderr)
    return measured


def ratio(ours: Measured, other: Measured, goal: float) -> dict[str, Any]:
    """How many times as long ours takes, by the medians; and in each round, which tells how far that can be trusted."""
    value = round(ours.median / other.median, 2)
    by_round = [round(one / beside, 2) for one, beside in zip(ours.seconds, other.seconds, strict=True)]
    return {"value": value, "goal": goal, "better": "lower", "ok": value <= goal, "rounds": by_round}


def limit(value: float, unit: str, goal: float) -> dict[str, Any]:
    """A figure that should not be above its goal; the unit is "s", or what is counted."""
    return {"value": value, "unit": unit, "goal": goal, "ok": value <= goal}


def machine(load: float) -> dict[str, Any]:
    """The machine as the file tells it, with its load before anything was measured."""
    cpu = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": cpu.partition(": ")[2], "cores": os.cpu_count(), "memory": sizes.shown(memory), "load": load}


def document(
    name: str, measured: Mapping[str, Measured], ratios: Mapping[str, Any], limits: Mapping[str, Any]
) -> dict[str, Any]:
    """A whole measurement as schemas/benchmark.json has it."""
    return {
        "schema_version": 1,
        "name": name,
        "command": " ".join([f"make bench-{name}", *(f"ROUNDS={word}" for word in sys.argv[1:2])]),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": debfleet.__version__,
        "machine": machine(round(LOAD, 2)),
        "runs": [one.to_dict() for one in measured.values()],
        "ratios": dict(ratios),
        "limits": dict(limits),
    }


def table(told: Mapping[str, Any]) -> str:
    """A measurement as text."""
    lines = []
    for run in told["runs"]:
        version = f"  ({run['version']})" if "version" in run else ""
        cpu = statistics.median(run["cpu"])
        lines.append(f"{run['subject']:32} {run['median']:7.2f} s  (cpu {cpu:.2f} s)  {run['seconds']}{version}")
        for name, values in run.get("parts", {}).items():
            lines.append(f"    {name:28} {statistics.median(values):7.2f} s")
    for name, one in told["ratios"].items():
        lines.append(f"{name:44} {one['value']} × (goal {one['goal']}){'' if one['ok'] else ': missed'}")
    for name, one in told["limits"].items():
        lines.append(f"{name:44} {one['value']} {one['unit']} (goal {one['goal']}){'' if one['ok'] else ': missed'}")
    return "\n".join(lines)


def tell(told: Mapping[str, Any]) -> None:
    """Print the table and write the file."""
    print(table(told))
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{told['name']}.json"
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written: {path}")


def begin(*programs: str) -> int:
    """How many rounds the command line asks for, else 3. Ends with a sentence where root or a program is lacking."""
    if os.geteuid() != 0:
        sys.exit("trees are made as root: run this with sudo")
    if missing := [program for program in programs if not shutil.which(program, path=f"{os.environ['PATH']}:{SEARCH}")]:
        sys.exit(f"not installed: {', '.join(missing)}; make setup brings it")
    return int(sys.argv[1]) if len(sys.argv) > 1 else 3
