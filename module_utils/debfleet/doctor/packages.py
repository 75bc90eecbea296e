# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian packages that debfleet needs, from the table that set-up reads too (scripts/debian-packages)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import MissingError
from ..run import run
from .finding import MISSING, OK, WARN, Finding

GROUP = "Debian packages"
PYTHON, DEVELOP = "python", "develop"
INSTALL = "apt-get install --no-install-recommends"


@dataclass(frozen=True)
class Row:
    """A package of the table.

    :param optional: needed only where the archive has it.
    :param when: python (where the system's own Python is used), develop (to set debfleet up and work on it), or empty.
    """

    name: str
    optional: bool
    when: str
    purpose: str


def read(table: Path) -> list[Row]:
    """The rows of the table."""
    rows = []
    for line in table.read_text(encoding="utf-8").splitlines():
        left, bar, purpose = line.partition("|")
        if bar and not line.startswith("#"):
            word, *when = left.split()
            rows.append(Row(word.rstrip("?"), word.endswith("?"), "".join(when[:1]), purpose.strip()))
    return rows


def look(table: Path, *, system_python: bool) -> Iterator[Finding]:
    """Which of them are installed.

    :param system_python: whether debfleet runs on the system's own Python.
    """
    try:
        rows, have = read(table), installed()
    except OSError as error:
        yield Finding(
            GROUP, "the table", WARN, "says which packages debfleet needs", str(error), "install debfleet anew"
        )
        return
    except MissingError:
        why = "dpkg-query is not installed: this is no Debian system"
        yield Finding(
            GROUP, "dpkg", MISSING, "knows what is installed; debfleet builds on Debian", why, "run it on Debian"
        )
        return
    wanted = [row for row in rows if row.when != PYTHON or system_python]
    known = in_archive([row.name for row in wanted if row.optional and row.name not in have])
    for row in wanted:
        if row.name in have:
            yield Finding(GROUP, row.name, OK, row.purpose)
        elif not row.optional or row.name in known:
            state = WARN if row.when in (PYTHON, DEVELOP) else MISSING
            yield Finding(GROUP, row.name, state, row.purpose, "it is not installed", f"{INSTALL} {row.name}")


def installed() -> set[str]:
    """The packages that dpkg has. Raises MissingError where there is no dpkg."""
    listed = run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n"]).stdout
    return {line.split()[1] for line in listed.splitlines() if line.startswith("installed ")}


def in_archive(names: Collection[str]) -> set[str]:
    """Which of these packages apt knows."""
    if not names:
        return set()
    shown = run(["apt-cache", "show", "--no-all-versions", "--", *sorted(names)], check=False).stdout
    return set(re.findall(r"(?m)^Package: (\S+)$", shown))


def together(findings: Collection[Finding]) -> str:
    """One command that installs all that is missing; empty where nothing is."""
    names = [
        one.name for one in findings if one.group == GROUP and one.state == MISSING and one.fix.startswith(INSTALL)
    ]
    return f"{INSTALL} {' '.join(names)}" if len(names) > 1 else ""
