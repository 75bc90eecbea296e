# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of apt's sources: read in both of apt's formats, written in one line or as a stanza."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

OPTION = re.compile(r"^(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+\S+)*)\s*$")


@dataclass(frozen=True)
class Source:
    """One suite of one repository. A suite that ends in a slash is a flat repository, which has no components."""

    uri: str
    suite: str
    components: tuple[str, ...] = ()
    signed_by: str = ""
    options: tuple[tuple[str, str], ...] = ()
    kind: str = "deb"

    def line(self) -> str:
        """The entry in apt's one-line format."""
        options = [f"{name}={value}" for name, value in self.options]
        options += [f"signed-by={self.signed_by}"] if self.signed_by else []
        words = [self.kind, f"[{' '.join(options)}]" if options else "", self.uri, self.suite, *self.components]
        return " ".join(word for word in words if word)


def parse_line(line: str) -> Source:
    """Read an entry in the one-line format. Raises ValueError when it is none."""
    match = OPTION.match(line.strip())
    if match is None:
        raise ValueError(f"{line!r} is no entry of apt's sources; write: deb [options] URI SUITE COMPONENTS")
    kind, options, uri, suite, components = match.groups()
    pairs = [(name.lower(), value) for name, _, value in (word.partition("=") for word in (options or "").split())]
    signed = "".join(value for name, value in pairs if name == "signed-by")
    rest = tuple(pair for pair in pairs if pair[0] != "signed-by")
    if not components and not suite.endswith("/"):
        raise ValueError(f"{line!r} names no component; write: deb [options] URI SUITE COMPONENTS")
    return Source(uri.rstrip("/") or uri, suite, tuple(components.split()), signed, rest, kind)


def parse_lines(text: str) -> list[Source]:
    """Read a sources.list: one entry a line, comments and empty lines left out."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [parse_line(line) for line in lines if line]


def stanza(sources: Iterable[Source], signed_by: str) -> str:
    """Entries that differ in nothing but their suite, as one stanza of a .sources file."""
    sources = list(sources)
    kinds = dict.fromkeys(source.kind for source in sources)
    suites = dict.fromkeys(source.suite for source in sources)
    lines = [f"Types: {' '.join(kinds)}", f"URIs: {sources[0].uri}", f"Suites: {' '.join(suites)}"]
    lines += [f"Components: {' '.join(sources[0].components)}"] if sources[0].components else []
    lines += [f"Signed-By: {signed_by}"] if signed_by else []
    return "\n".join(lines) + "\n"


def signed_by_of(entry: str) -> str:
    """The Signed-By of an entry as `apt-get indextargets` names it: FILE:N, a line of a .list, a stanza of a .sources.

    Empty where it has none, or an embedded key, which apt keeps to itself.
    """
    name, _, number = entry.rpartition(":")
    try:
        text = Path(name).read_text(encoding="utf-8")
        if name.endswith(".list"):
            return parse_line(text.splitlines()[int(number) - 1].partition("#")[0]).signed_by
        kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        found = re.split(r"\n\s*\n", kept.strip())[int(number) - 1]
    except (OSError, ValueError, IndexError):
        return ""
    match = re.search(r"^Signed-By:[ \t]*(/.*)$", found, re.MULTILINE | re.IGNORECASE)
    return match[1].replace(" ", ",") if match else ""
