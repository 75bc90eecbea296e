# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inspection found: a result for each check, and the report of all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

    def to_dict(self) -> dict[str, Any]:
        """As in schemas/inspection.json."""
        return {
            "schema_version": SCHEMA_VERSION,
            "image": str(self.image),
            "ok": self.ok,
            "checks": [check.to_dict() for check in self.checks],
        }

    def to_text(self) -> str:
        """For a reader: a line for each check, its findings indented below it."""
        lines = []
        width = max((len(check.name) for check in self.checks), default=0)
        for check in self.checks:
            wrong = sum(finding.severity == ERROR for finding in check.findings)
            parts = [f"{wrong} finding{'s' * (wrong != 1)}"] if wrong else []
            parts += [f"{len(check.unread)} not read"] if check.unread else []
            mark = "ok    " if check.ok else "wrong " if wrong else "unread"
            lines.append(f"{mark}  {check.name:{width}}  {', '.join(parts) or f'{len(check.looked_at)} looked at'}")
            for finding in check.findings:
                note = " (note)" if finding.severity == NOTE else ""
                lines.append(f"          {finding.path}: {finding.what}{note}")
                lines += [f"            do: {finding.hint}"] if finding.hint and finding.severity == ERROR else []
            lines += [f"          could not read {what}" for what in check.unread]
        lines.append(f"{self.image}: " + ("clean" if self.ok else f"{len(self.troubles())} things to look at"))
        return "\n".join(lines)
