# SPDX-License-Identifier: GPL-3.0-or-later
"""What failed, read from a log in one pass: sbuild's, or any other of a build. The classes are in rules.py.

A log is anybody's text, and may be of any size: it is read in pieces, and of what it says a bounded amount is kept and
a bounded number of lines is looked at closely. Which stage failed is told by sbuild's Summary, else by the last step
that was begun; which class, by the first rule that fits a line of that step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from . import sbuild
from .result import Failure, Line
from .rules import INFRASTRUCTURE_STAGES, RULES, SBUILD_STAGES, SECTIONS, STEPS, TAIL, UNKNOWN, Rule
from .signature import normalised, signature
from .text import clean

PIECE = 1 << 20
TAIL_BYTES = 1 << 16
CUT = 600  # bytes of a line that are looked at
KEPT = 50  # lines of a rule
CLOSELY = 5_000  # lines of a step that are looked at closely, besides its end
IN_ALL = 50_000  # lines of a log that are
SHOWN = 5
SHOWN_CHARACTERS = 300
# Every needle of a rule has one of these words: so most lines need no closer look.
STEMS = tuple(
    b"rror |rror: |rror[|ailed|FAIL|***|not |o such |nnot |undefined |emory|illed|bad_alloc|resolv|E: |space|quota|"
    b"inactivity|patch|hunk|o be installed|nmet |unsatisf|nable to|ismatch|PUBKEY|lease|interrupted|panicked|"
    b"multiple def|.java:|.hs:|.go:|SyntaxE|requirements|autoreconf|aclocal|gensymbols|disappeared|ssertion|"
    b"unreachable|ENOTF|Can't|dh_|ERROR: |hroot|Hunk|stopped|Error|PLEASE|eturned|emporary f".split(b"|")
)
STEP = re.compile(rb"   (?:debian/rules (?:override|execute_before|execute_after)_)?(dh_\w{1,40})")
STRUCTURE = (b"\n" + sbuild.EDGE, b"\n   dh_", b"\n   debian/rules ", b"\n" + sbuild.VERSIONS)
PASSED = "successful"


@dataclass(frozen=True)
class Report:
    """What a log says.

    :param lines: how many there are.
    :param summary: sbuild's, as it is; empty where there is none.
    :param failure: what failed; None where the Summary says that nothing did.
    :param stage_seconds: seconds of each stage that is told: dependencies, build.
    :param disk: bytes that building took, where it is told.
    :param packages: installed while it was built, with their versions.
    """

    lines: int
    summary: Mapping[str, str]
    failure: Failure | None
    stage_seconds: Mapping[str, float]
    disk: int | None
    packages: Mapping[str, str]


@dataclass
class _Section:
    """A section of the log, and of its last step the lines that rules fit."""

    stage: str
    matches: dict[int, list[Line]] = field(default_factory=dict)
    looked: int = 0
    tail: bytes = b""
    last: int = 0  # the number of the last line

    def step(self, stage: str) -> None:
        """Another step begins: what came before it didn't fail."""
        self.stage, self.looked = stage, 0
        self.matches.clear()


def classify(log: IO[bytes]) -> Report:
    """Read a log, from its start to its end."""
    reader = _Reader()
    for block in _blocks(log):
        reader.read(block)
    fields = sbuild.summary(reader.end)
    failure = None if fields.get("Status") == PASSED else reader.failure(fields)
    seconds = {name: sbuild.number(fields, key) for key, name in sbuild.SECONDS.items() if name != "all"}
    space = sbuild.number(fields, "Build-Space")
    return Report(
        reader.number,
        fields,
        failure,
        {name: float(value) for name, value in seconds.items() if value is not None},
        space * sbuild.KIB if space is not None else None,
        reader.packages,
    )


def _blocks(log: IO[bytes]) -> Iterator[bytes]:
    """The log in pieces of whole lines. Of a line that is longer than a piece only its beginning is given.

    An edge of sbuild's comes with the line after it.
    """
    rest, skipping = b"", False
    while piece := log.read(PIECE):
        if skipping:
            _, end, piece = piece.partition(b"\n")
            if not end:
                continue
            skipping = False
        piece = rest + piece
        cut = piece.rfind(b"\n") + 1
        while cut and piece[:cut].endswith(sbuild.EDGE + b"\n"):
            cut -= len(sbuild.EDGE) + 1
        block, rest = piece[:cut], piece[cut:]
        if block:
            yield block
        if len(rest) > PIECE:
            yield rest[:CUT] + b"\n"
            rest, skipping = b"", True
    if rest:
        yield rest + b"\n"


class _Reader:
    """What was read so far."""

    def __init__(self) -> None:
        self.number = 0
        self.current = _Section("")
        self.sections = {"": self.current}
        self.packages: Mapping[str, str] = {}
        self.end = b""
        self.looked = 0

    def read(self, block: bytes) -> None:
        """Read whole lines."""
        self.end = (self.end + block)[-TAIL_BYTES:]
        at, number, begun = 0, self.number, 0
        for start in self._worth(block):
            if start < at:
                continue
            number += block.count(b"\n", at, start)
            end = block.find(b"\n", start)
            line = block[start:end]
            at = start
            if line == sbuild.EDGE:
                name = sbuild.title(block[end + 1 : block.find(b"\n", end + 1)])
                if name is not None:
                    self._close(block[begun:start], number)
                    self.current = self.sections[name] = _Section(SECTIONS.get(name, ""))
                    begun = start
            elif line.startswith(sbuild.VERSIONS):
                self.packages = self.packages or sbuild.packages(line)
            elif step := STEP.match(line):
                self.current.step(STEPS.get(step[1].decode(), self.current.stage))
            else:
                self._look(number + 1, line)
        self.number += block.count(b"\n")
        self._close(block[begun:], self.number)

    def _worth(self, block: bytes) -> list[int]:
        """Where the lines begin that are worth a look."""
        found = set()
        before = b"\n" + block
        for mark in STRUCTURE:
            start = before.find(mark)
            while start >= 0:
                found.add(start)
                start = before.find(mark, start + 1)
        # Where enough was looked at, only what follows another step may be worth it.
        first = 0 if self.current.looked < CLOSELY else max(found, default=len(block))
        for stem in STEMS if self.looked < IN_ALL else ():
            start, hits = block.find(stem, first), 0
            while start >= 0 and hits < CLOSELY:
                found.add(block.rfind(b"\n", 0, start) + 1)
                start, hits = block.find(stem, block.find(b"\n", start)), hits + 1
        return sorted(found)

    def _look(self, number: int, line: bytes) -> None:
        """Look at a line closely, and note which rules fit it."""
        if self.current.looked >= CLOSELY or self.looked >= IN_ALL:
            return
        self.current.looked += 1
        self.looked += 1
        for index in _fitting(line):
            if not RULES[index].late:
                kept = self.current.matches.setdefault(index, [])
                if len(kept) < KEPT:
                    kept.append(_line(number, line))

    def _close(self, part: bytes, number: int) -> None:
        """Keep the end of what was read of the current section."""
        self.current.tail = (self.current.tail + part)[-TAIL_BYTES:]
        self.current.last = number

    def failure(self, fields: Mapping[str, str]) -> Failure:
        """What failed."""
        said = fields.get("Fail-Stage", "")
        stage = SBUILD_STAGES.get(said, said)
        section = self._failed(stage)
        late = _tail(section)
        if not stage or stage == "build":
            stage = section.stage or "build"
        for index, rule in enumerate(RULES):
            lines = late.get(index, []) if rule.late else section.matches.get(index, [])
            if lines and (not rule.stages or stage in rule.stages):
                return _failure(stage, rule, lines, section)
        return _unknown(stage, section)

    def _failed(self, stage: str) -> _Section:
        """The section that failed: that of the stage; else the last one that says anything of it."""
        of_stage = [one for name, one in self.sections.items() if SECTIONS.get(name) == stage]
        said = [one for name, one in self.sections.items() if name not in ("Cleanup", "Summary")]
        telling = [one for one in said if one.matches]
        return (of_stage or telling or said)[-1]


def _fitting(line: bytes) -> list[int]:
    line = line.rstrip(b"\r").rpartition(b"\r")[2][:CUT]
    return [
        index
        for index, rule in enumerate(RULES)
        if any(needle in line for needle in rule.needles) and rule.pattern.match(line)
    ]


def _tail(section: _Section) -> dict[int, list[Line]]:
    """Look at the end of a section: which late rules fit there. What others fit is noted, where they had none."""
    lines = section.tail.removesuffix(b"\n").split(b"\n")[-TAIL:]
    late: dict[int, list[Line]] = {}
    for number, line in enumerate(lines, section.last - len(lines) + 1):
        if STEP.match(line):
            late.clear()
        for index in _fitting(line):
            late.setdefault(index, []).append(_line(number, line))
    for index, kept in late.items():
        if not RULES[index].late:
            section.matches.setdefault(index, kept)
    return late


def _line(number: int, line: bytes) -> Line:
    text = clean(line.rstrip(b"\r").rpartition(b"\r")[2][: 4 * CUT].decode(errors="replace"))
    return Line(number, text[:SHOWN_CHARACTERS])


def _failure(stage: str, rule: Rule, lines: list[Line], section: _Section) -> Failure:
    """One by the lines that fit a rule. Which of them comes first may differ between runs, so the least one tells."""
    line = min(normalised(one.text) for one in lines)
    shown = {one.number: one for one in lines[:SHOWN]}
    others = [one for kept in section.matches.values() for one in kept]
    for one in sorted(others, key=lambda one: one.number):
        if len(shown) < SHOWN:
            shown.setdefault(one.number, one)
    return Failure(
        stage=stage,
        category=rule.category,
        cause=rule.cause,
        infrastructure=rule.infrastructure or stage in INFRASTRUCTURE_STAGES,
        line=line,
        signature=signature(stage, rule.category, line),
        lines=tuple(shown[number] for number in sorted(shown)),
    )


def _unknown(stage: str, section: _Section) -> Failure:
    """One that no rule fits: its last lines are all there is to tell."""
    texts = section.tail.removesuffix(b"\n").split(b"\n")
    numbered = list(enumerate(texts, section.last - len(texts) + 1))
    told = [_line(number, text) for number, text in numbered if text.strip(b" -+\r\t")][-3:]
    line = normalised(told[-1].text) if told else ""
    return Failure(
        stage=stage,
        category=UNKNOWN,
        cause="nothing that is known by its look; the last lines are all there is",
        infrastructure=stage in INFRASTRUCTURE_STAGES,
        line=line,
        signature=signature(stage, UNKNOWN, line),
        lines=tuple(told),
    )
