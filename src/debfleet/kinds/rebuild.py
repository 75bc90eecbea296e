# SPDX-License-Identifier: GPL-3.0-or-later
"""rebuild: a source package built anew, as Debian's build machines do, or with another compiler, flags or libraries.

So far what is known before a build: the options, and which tasks a source package gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import Entry, Kind, Row
from .wildcards import ALL, matches_any

WORDS = {"type": "array", "items": {"type": "string", "minLength": 1}}
OPTIONS: dict[str, Any] = {
    "parallel": {"type": "integer", "minimum": 1, "description": "processes that the build may use (parallel=N)"},
    "nocheck": {"type": "boolean", "description": "leave the package's own tests out"},
    "build_options": {**WORDS, "description": "further words of DEB_BUILD_OPTIONS"},
    "profiles": {**WORDS, "description": "build profiles"},
    "compiler": {
        "type": "string",
        "pattern": "^(gcc|clang)-[0-9]+(\\.[0-9]+)?$",
        "description": "the compiler in the place of the suite's own: gcc-15, clang-19",
    },
    "repositories": {
        "type": "array",
        "items": {"type": "string", "pattern": "^deb(-src)? "},
        "description": "further repositories, as lines of apt's sources",
    },
    "keys": {**WORDS, "description": "files of the keys that sign these"},
    "pins": {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["package", "pin", "pin-priority"],
            "properties": {
                "package": {"type": "string", "minLength": 1},
                "pin": {"type": "string", "minLength": 1},
                "pin-priority": {"type": "integer"},
            },
        },
        "description": "apt's pins while building",
    },
    "hardening": {
        "type": "array",
        "items": {"type": "string", "pattern": "^[+-][a-z]+$"},
        "description": "hardening features, on or off: +all, -pie",
    },
    "flags": {
        "type": "object",
        "propertyNames": {"pattern": "^DEB_[A-Z]+_(SET|STRIP|APPEND|PREPEND)$"},
        "additionalProperties": {"type": "string"},
        "description": "variables that dpkg-buildflags reads, as DEB_CFLAGS_APPEND",
    },
    "arch_any": {"type": "boolean", "description": "build the architecture's own packages (default true)"},
    "arch_all": {"type": "boolean", "description": "build the packages of all architectures (default true)"},
    "version_suffix": {"type": "string", "pattern": "^[+~][A-Za-z0-9.+~]+$", "description": "added to the version"},
    "network": {"type": "boolean", "description": "whether the build may use the network (default false)"},
}


def rows(entry: Entry, architectures: Sequence[str], options: Mapping[str, Any]) -> Iterator[Row]:
    """A task on each architecture that the source is for. Packages for all architectures are built once.

    They are built on the first of these architectures, or on the first that was asked for where there is nothing else.
    """
    wanted = [architecture for architecture in architectures if matches_any(architecture, entry.architectures)]
    wanted = wanted if options.get("arch_any", True) else []
    everywhere = ALL in entry.architectures and options.get("arch_all", True)
    if not wanted:
        yield from [(architectures[0], dict(options))] if everywhere and architectures else []
        return
    yield wanted[0], dict(options)
    for architecture in wanted[1:]:
        yield architecture, {**options, "arch_all": False} if everywhere else dict(options)


KIND = Kind("rebuild", "source", rows, OPTIONS, builds=True)
