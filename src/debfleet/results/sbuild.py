# SPDX-License-Identifier: GPL-3.0-or-later
"""sbuild's log: its sections, and the Summary at its end, whose fields may be `n/a`."""

from __future__ import annotations

import re
from collections.abc import Mapping

SECTIONS = frozenset(
    {
        "Update chroot",
        "Chroot Setup Commands",
        "Fetch source files",
        "Install package build dependencies",
        "Check architectures",
        "Build environment",
        "Pre Build Commands",
        "Starting Timed Build Commands",
        "Build",
        "Finished Timed Build Commands",
        "Post Build",
        "Post Build Commands",
        "Buildinfo",
        "Package contents",
        "Changes",
        "Build-Deps Install Failed Commands",
        "Chroot-update Install Failed Commands",
        "Generic Build Failed Commands",
        "Post Build Failed Commands",
        "Chroot Cleanup Commands",
        "Cleanup",
        "Summary",
    }
)
EDGE = b"+" + b"-" * 78 + b"+"
TITLE = re.compile(rb"\| (.{1,76}?) +\|$")
SUMMARY = b"\n" + EDGE + b"\n| Summary "
FIELD = re.compile(rb"([A-Z][A-Za-z-]{1,40}): (.{0,300})")
SECONDS = {"Install-Time": "dependencies", "Build-Time": "build", "Package-Time": "all"}
VERSIONS = b"Package versions: "
KIB = 1024


def title(line: bytes) -> str | None:
    """The section that the line between two edges begins; None where it is none of sbuild's."""
    found = TITLE.match(line)
    name = found[1].decode("ascii", "replace") if found else ""
    return name if name in SECTIONS else None


def summary(end: bytes) -> dict[str, str]:
    """The Summary, from the end of a log; empty where there is none."""
    start = end.rfind(SUMMARY)
    if start < 0:
        return {}
    lines = end[start:].split(b"\n" + EDGE + b"\n")[-1].split(b"\n")
    found = (FIELD.match(line) for line in lines)
    return {one[1].decode(): one[2].decode(errors="replace").strip() for one in found if one}


def number(fields: Mapping[str, str], name: str) -> int | None:
    """A number of the Summary; None where it says nothing, or n/a."""
    said = fields.get(name, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 16 else None


def packages(line: bytes) -> dict[str, str]:
    """The installed packages and their versions, as the section Build environment has them in one line."""
    words = line.removeprefix(VERSIONS).decode("ascii", "replace").split()
    pairs = (word.partition("_") for word in words)
    return {name: version for name, _, version in pairs if name and version}
