# SPDX-License-Identifier: GPL-3.0-or-later
"""What one look at the machine has shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA_VERSION = 1
OK, WARN, MISSING = "ok", "warn", "missing"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    :param state: ok; warn (it works less well, or only some things do); missing (what needs it can't work).
    :param purpose: what it is for.
    :param seen: what was found, or why it doesn't work.
    :param fix: the command that mends it, as it can be typed; empty where all is well.
    """

    group: str
    name: str
    state: str
    purpose: str
    seen: str = ""
    fix: str = ""

    def lines(self, width: int) -> list[str]:
        """For a reader: what is wrong and what to do stand below the line."""
        if self.state == OK:
            return [f"{self.state:7}  {self.name:{width}}  {self.purpose}" + (f": {self.seen}" if self.seen else "")]
        lines = [f"{self.state:7}  {self.name:{width}}  {self.purpose}"]
        indented = " " * (len(lines[0]) - len(self.purpose))
        lines += [f"{indented}why: {self.seen}".replace("\n", f"\n{indented}     ")] if self.seen else []
        return lines + ([f"{indented}do:  {self.fix}"] if self.fix else [])


def ok(findings: Sequence[Finding]) -> bool:
    """Whether nothing is missing."""
    return all(finding.state != MISSING for finding in findings)


def to_dict(findings: Sequence[Finding]) -> dict[str, Any]:
    """As in schemas/doctor.json."""
    return {"schema_version": SCHEMA_VERSION, "ok": ok(findings), "checks": [asdict(one) for one in findings]}


def to_text(findings: Sequence[Finding], *, quiet: bool = False) -> str:
    """A line for each finding, by group; a last line that sums up.

    :param quiet: only what is not ok.
    """
    width = max((len(finding.name) for finding in findings), default=0)
    lines: list[str] = []
    group = ""
    for finding in findings:
        if quiet and finding.state == OK:
            continue
        if finding.group != group:
            group = finding.group
            lines += ["", group] if lines else [group]
        lines += finding.lines(width)
    counts = {state: sum(finding.state == state for finding in findings) for state in (MISSING, WARN)}
    told = f"{counts[MISSING]} missing" if counts[MISSING] else "nothing is missing" if counts[WARN] else "all well"
    told += f", {counts[WARN]} warning{'s' * (counts[WARN] != 1)}" if counts[WARN] else ""
    return "\n".join([*lines, *([""] if lines else []), told]) + "\n"
