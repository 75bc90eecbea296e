# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inspection found: a result for each check, and the report of all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import FindingsError

SCHEMA_VERSION = 1
ERROR = "error"  # the image must not be published
NOTE = "note"  # told, never fails


def shown(text: str) -> str:
    """Text of an image as it may be printed: what is not printable (control characters, bytes that are no UTF-8) is
    escaped.
    """
    return "".join(c if c.isprintable() else c.encode("utf-8", "surrogateescape").hex(" ") for c in text)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (`error`) or worth knowing (`note`): where, what, and what to do."""

    severity: str
    path: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" + (f"; {self.hint}" if self.hint else "")


@dataclass
class Result:
    """What one check looked at, found, and could not read. A check fills it in."""

    name: str
    looked_at: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def look(self, *paths: str) -> None:
        """Write down what is looked at, found or not."""
        self.looked_at += [shown(path) for path in paths if shown(path) not in self.looked_at]

    def find(self, path: str, what: str, hint: str = "", severity: str = ERROR) -> None:
        """Write down a finding at a path of the image."""
        self.findings.append(Finding(severity, shown(path), shown(what), shown(hint)))

    def miss(self, what: str) -> None:
        """Write down what could not be read, and why; never taken for clean."""
        if shown(what) not in self.unread:
            self.unread.append(shown(what))

    @property
    def ok(self) -> bool:
        """Whether all was read and nothing is wrong."""
        return not self.unread and all(finding.severity != ERROR for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """As in schemas/inspection.json."""
        return {
            "name": self.name,
            "ok": self.ok,
            "looked_at": self.looked_at,
            "findings": [vars(finding) for finding in self.findings],
            "unread": self.unread,
        }


@dataclass(frozen=True)
class Report:
    """All results for one image."""

    image: Path
    checks: list[Result]

    @property
    def ok(self) -> bool:
        """Whether every check is ok."""
        return all(check.ok for check in self.checks)

    def troubles(self) -> list[str]:
        """Each finding and each thing that could not be read, one line each."""
        lines = []
        for check in self.checks:
            lines += [f"{check.name}: {finding}" for finding in check.findings if finding.severity == ERROR]
            lines += [f"{check.name}: could not read {what}" for what in check.unread]
        return lines

    def to_dict(self, ok: bool = True) -> dict[str, Any]:
        """As in schemas/inspection.json.

        :param ok: the checks that are ok too, not only the others.
        """
        return {
            "schema_version": SCHEMA_VERSION,
            "image": str(self.image),
            "ok": self.ok,
            "checks": [check.to_dict() for check in self.checks if ok or not check.ok],
        }

    def to_text(self, *, quiet: bool = False, verbose: bool = False) -> str:
        """For a reader: a line for each check, its findings indented below it, and a last line that sums up.

        :param quiet: only the checks that are not ok.
        :param verbose: the notes, and all that was looked at, too.
        """
        width = max((len(check.name) for check in self.checks), default=0)
        told = [check for check in self.checks if not (quiet and check.ok)]
        lines = [line for check in told for line in _lines(check, width, verbose)]
        count = len(self.troubles())
        lines.append(f"{self.image}: {f'{count} thing{plural(count)} wrong or unread' if count else 'clean'}")
        return "\n".join(lines)


class RefusedError(FindingsError):
    """An image that is not clean: all that is wrong with it, as one error."""

    def __init__(self, report: Report) -> None:
        self.report = report
        troubles = report.troubles()
        super().__init__(
            f"{len(troubles)} thing{plural(len(troubles))} in the image should not be there or could not be read",
            where=str(report.image),
            why="\n".join(troubles),
            hint="remove what was found in the phase system_cleaning, or ask for it in the manifest",
        )


def plural(count: int) -> str:
    """An s, where there is more than one."""
    return "" if count == 1 else "s"


def _lines(check: Result, width: int, verbose: bool) -> list[str]:
    wrong = [finding for finding in check.findings if finding.severity == ERROR]
    notes = [finding for finding in check.findings if finding.severity == NOTE]
    parts = [f"{len(wrong)} finding{plural(len(wrong))}"] if wrong else []
    parts += [f"{len(check.unread)} unread"] if check.unread else []
    parts += [f"{len(notes)} note{plural(len(notes))}"] if notes else []
    parts += [f"{len(check.looked_at)} looked at"] if not parts else []
    mark = "ok" if check.ok else "wrong" if wrong else "unread"
    lines = [f"{mark:6}  {check.name:{width}}  {', '.join(parts)}"]
    lines += [f"          looked at {path}" for path in check.looked_at if verbose]
    for finding in wrong:
        lines.append(f"          {finding.path}: {finding.what}")
        lines += [f"            do: {finding.hint}"] if finding.hint else []
    lines += [f"          note: {finding.path}: {finding.what}" for finding in notes if verbose]
    return lines + [f"          could not read {what}" for what in check.unread]
