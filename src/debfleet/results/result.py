# SPDX-License-Identifier: GPL-3.0-or-later
"""A result (schemas/result.json): of one attempt; or the final one, which is the attempt that counts, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from debfleet.common.errors import DebfleetError

from .paths import Attempt, Place

SCHEMA_VERSION = 1
SUCCESS, FAILURE, INFRASTRUCTURE, INTERRUPTED = "success", "failure", "infrastructure", "interrupted"
OUTCOMES = (SUCCESS, FAILURE, INFRASTRUCTURE, INTERRUPTED)


@dataclass(frozen=True)
class File:
    """A file of an attempt: its path below the task's folder (`attempts/1/log.zst`), bytes, and SHA-256 in hex."""

    file: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Line:
    """A line of a log: its number, from 1, and what it says, cut where it is long."""

    number: int
    text: str


@dataclass(frozen=True)
class Failure:
    """What failed (see classify.py).

    :param stage: where: fetch, dependencies, unpack, configure, build, test, install, package …
    :param category: the coarse class, `class` in JSON.
    :param cause: what that likely means, in words.
    :param infrastructure: whether it is the machine's or the archive's fault, and not the package's.
    :param line: the line that tells, normalised: no paths, numbers, hashes, times.
    :param signature: equal for the same failure of two runs: of stage, class and line.
    :param lines: the first lines that tell of it.
    """

    stage: str
    category: str
    cause: str
    infrastructure: bool
    line: str
    signature: str
    lines: tuple[Line, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        said["class"] = said.pop("category")
        said["lines"] = [vars(line) for line in self.lines]
        return said

    @classmethod
    def from_dict(cls, read: Mapping[str, Any]) -> Failure:
        """One that was read."""
        lines = tuple(Line(int(line["number"]), str(line["text"])) for line in read.get("lines", ()))
        known = {one.name: read[one.name] for one in fields(cls) if one.name in read}
        return cls(**{**known, "category": read["class"], "lines": lines})


@dataclass(frozen=True)
class Final:
    """Why an attempt is the final result, and how each attempt ended (`{"attempt": 1, "outcome": …, "node": …}`)."""

    why: str
    attempts: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Result:
    """One attempt at a task, or with `final` the task's one final result.

    :param interruption: which interruption of the task ended this attempt; 0 where it came to its end.
    :param started: and finished: UTC, as 2026-11-25T01:32:20Z.
    :param seconds: that it took; `stage_seconds` of them in each stage.
    :param esttime: seconds that were estimated, and what by.
    :param peak_memory: and disk: bytes.
    :param packages: the installed packages and their versions.
    :param chroot: what it ran in, and the limits it had: what is needed to run it again in the same way.
    :param cost: `{"amount": 0.0021, "currency": "USD", …}`.
    """

    place: Place
    attempt: int
    outcome: str
    started: str
    finished: str
    seconds: float
    interruption: int = 0
    exit_status: int | None = None
    failure: Failure | None = None
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    esttime: int | None = None
    esttime_from: str = ""
    peak_memory: int | None = None
    disk: int | None = None
    node: str = ""
    requester: str = ""
    cause: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    chroot: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    log: File | None = None
    artifacts: tuple[File, ...] = ()
    final: Final | None = None

    @property
    def folder(self) -> str:
        """The key of its attempt's folder."""
        return self.place.attempt(self.attempt, self.interruption)

    @property
    def key(self) -> str:
        """The key of its result.json."""
        return self.place.result if self.final else f"{self.folder}/result.json"

    @property
    def files(self) -> tuple[File, ...]:
        """The log and the artifacts."""
        return ((self.log,) if self.log else ()) + self.artifacts

    def with_files(self, files: Sequence[File]) -> Result:
        """The same with its files at other paths, given in the order of `files`."""
        log = files[0] if self.log else None
        return replace(self, log=log, artifacts=tuple(files[1:] if self.log else files))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: what says nothing is left out."""
        said: dict[str, Any] = {"schema_version": SCHEMA_VERSION, **vars(self.place)}
        for name, value in ((one.name, getattr(self, one.name)) for one in fields(self) if one.name != "place"):
            if value not in ("", None, {}, ()) and not (name == "interruption" and value == 0):
                said[name] = _plain(value)
        return said

    def to_bytes(self) -> bytes:
        """As result.json has it: the same bytes for the same result."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, sort_keys=True).encode(errors="replace") + b"\n"

    @classmethod
    def from_dict(cls, read: Mapping[str, Any]) -> Result:
        """One that was read; keys that no result has are left out. Raises KeyError, TypeError or ValueError."""
        place = Place.parse("/".join(str(read[name]) for name in Place.__dataclass_fields__))
        said = {one.name: read[one.name] for one in fields(cls) if one.name in read}
        if said["outcome"] not in OUTCOMES:
            raise ValueError(f"{said['outcome']!r} is no outcome")
        said["place"] = place
        said["attempt"], said["seconds"] = int(said["attempt"]), float(said["seconds"])
        said["failure"] = Failure.from_dict(read["failure"]) if "failure" in read else None
        said["log"] = File(**read["log"]) if "log" in read else None
        said["artifacts"] = tuple(File(**file) for file in read.get("artifacts", ()))
        if "final" in read:
            said["final"] = Final(str(read["final"]["why"]), tuple(read["final"].get("attempts", ())))
        return cls(**said)

    @classmethod
    def from_bytes(cls, raw: bytes, where: str) -> Result:
        """What a result.json says. Raises DebfleetError when it is no result."""
        try:
            read = json.loads(raw)
            if not isinstance(read, dict) or read.get("schema_version") != SCHEMA_VERSION:
                raise ValueError(f"it is none of schema version {SCHEMA_VERSION}")
            return cls.from_dict(read)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError, DebfleetError) as error:
            why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise DebfleetError("could not read a result", where=where, why=why) from error


def _plain(value: Any) -> Any:
    if isinstance(value, Failure):
        return value.to_dict()
    if isinstance(value, Final):
        return {"why": value.why, "attempts": [dict(one) for one in value.attempts]}
    if isinstance(value, File):
        return vars(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return dict(value) if isinstance(value, Mapping) else value


def final_of(results: Sequence[Result], most: int = 2) -> Result | None:
    """The final result that attempts give; None while there is none yet.

    The first success counts; else the last failure, once there were as many as there may be. Interrupted ones never do.

    :param most: attempts that a task has; the last one runs alone on its node.
    """
    ended = sorted((one for one in results if not one.interruption), key=lambda one: one.attempt)
    good = next((one for one in ended if one.outcome == SUCCESS), None)
    if good is None and (not ended or ended[-1].attempt < most):
        return None
    counts = good or ended[-1]
    if good is None:
        why = f"all {most} attempts failed, the last one alone on its node; no more are made"
    elif counts.attempt > 1:
        why = f"it succeeded in attempt {counts.attempt}, alone on its node"
    else:
        why = "it succeeded in the first attempt"
    attempts = sorted(results, key=lambda one: Attempt(one.attempt, one.interruption))
    return replace(counts, final=Final(why, tuple(_ending(one) for one in attempts)))


def _ending(one: Result) -> dict[str, Any]:
    said: dict[str, Any] = {"interruption": one.interruption} if one.interruption else {}
    said |= {"attempt": one.attempt, "outcome": one.outcome, "node": one.node, "seconds": one.seconds}
    said |= {"peak_memory": one.peak_memory, "cost": dict(one.cost)}
    said |= {"class": one.failure.category, "signature": one.failure.signature} if one.failure else {}
    return {name: value for name, value in said.items() if value not in ("", None, {})}
