# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages named one by one, as `name` or `name=version`: those of a list file, and those said at the prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from debfleet.common.errors import FindingsError
from debfleet.kinds import Entry

from . import archive

NAME = re.compile(r"([a-z0-9][a-z0-9+.-]*)(?:(?:=|_|\s+)([A-Za-z0-9][A-Za-z0-9.+~:-]*))?")


@dataclass(frozen=True)
class Named:
    """A package that was named, with the version where it was told, and where it stands (FILE:LINE)."""

    package: str
    version: str = ""
    where: str = ""


def parse(text: str, file: str) -> list[Named]:
    """The packages of a list: `name`, `name=version`, `name_version` or `name version` a line; # begins a comment.

    :raises FindingsError: naming every line that is none of these.
    """
    named, wrong = [], []
    for number, line in enumerate(text.split("\n"), 1):
        word = line.partition("#")[0].strip()
        if match := NAME.fullmatch(word):
            named.append(Named(match[1], match[2] or "", f"{file}:{number}"))
        elif word:
            wrong.append(f"{file}:{number}: {word[:60]}")
    if wrong:
        raise FindingsError(
            "these lines name no package", why="\n".join(wrong), hint="write name or name=version, one a line"
        )
    return named


def words(texts: Iterable[str]) -> list[Named]:
    """The packages in words such as `hello,tree=2.1.0-1`. Raises FindingsError for what is no package's name."""
    lines = "\n".join(word for text in texts for word in text.replace(",", " ").split())
    return [Named(one.package, one.version) for one in parse(lines, "--packages")]


def chosen(named: Sequence[Named], entries: Sequence[Entry], about: str, place: str) -> list[Entry]:
    """The entries that were named: the newest version where none was told.

    :param place: what was looked in, for the error.
    :raises FindingsError: with every package and version that isn't there.
    """
    newest: dict[str, list[Entry]] = {}
    for entry in archive.newest(entries, about):
        newest.setdefault(entry.package, []).append(entry)
    exact: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        exact.setdefault((entry.package, entry.version), []).append(entry)
    found, wrong = [], []
    for one in named:
        got = exact.get((one.package, one.version), []) if one.version else newest.get(one.package, [])
        found += got
        if not got:
            close = get_close_matches(one.package, newest, 1)
            has = ", ".join(dict.fromkeys(entry.version for entry in entries if entry.package == one.package))
            hint = f"it has {has}" if has else f"did you mean {close[0]}?" if close else "no such name there"
            said = one.package + (f"={one.version}" if one.version else "")
            wrong.append(f"{f'{one.where}: ' if one.where else ''}{said}: {hint}")
    if wrong:
        raise FindingsError(f"not all packages are in {place}", why="\n".join(wrong))
    return list(dict.fromkeys(found))
