# SPDX-License-Identifier: GPL-3.0-or-later
"""How the programs of a tree are run: as decided for the build that it is of, else as this machine can.

The decision lies in the build's folder, whose path all of its processes have in their environment; or beside a tree
that is made by itself, in the folder of the same name that ends in .work.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .. import userns
from ..architectures import Architecture
from ..architectures import host as host_row
from ..run import SEARCH
from . import elf, enter, registration

NOTE = "foreign.json"
BUILD = "DEBFLEET_BUILD"
NATIVE = "/run/.native"  # inside a tree: in its /run, which is memory that is gone with the namespace


@dataclass(frozen=True)
class Programs:
    """How programs of one architecture are run.

    :param line: what is registered for them in a namespace of their own; nothing where the machine's registration is
        used.
    :param binds: what they need inside the tree, host path to path inside; in this order.
    """

    architecture: str
    line: str = ""
    binds: Mapping[str, str] = field(default_factory=dict)

    def entering(self) -> list[str]:
        """The words to put before a command that makes namespaces."""
        return enter.words(self.line) if self.line else userns.entering()

    def registering(self) -> list[str]:
        """The words to put before a command that enters no user namespace by itself."""
        return enter.words(self.line) if self.line else []

    def save(self, build: Path) -> None:
        """Leave this for all further steps of a build."""
        written = {"schema_version": 1, **asdict(self)}
        new = build / f"{NOTE}.new"
        new.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
        new.replace(build / NOTE)


NATIVELY = Programs("")


def decided(build: Path) -> Programs | None:
    """What was decided for the build in this folder; None where nothing was."""
    try:
        written = json.loads((build / NOTE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return Programs(written["architecture"], written["line"], written["binds"])


def of(root: Path, build: Path | None = None) -> Programs:
    """How the programs of a tree are run; natively where nothing says that they are of another architecture.

    :param build: the folder of the tree's build, for who is no process of it.
    """
    row = elf.architecture_of(root)
    if row is None or runs_here(row):
        return NATIVELY
    builds = [build] if build else [Path(os.environ[BUILD])] if os.environ.get(BUILD) else []
    for folder in [*builds, root.with_name(f"{root.name}.work")]:
        found = decided(folder)
        if found and found.architecture == row.name:
            return found
    return emulated(row)


def emulated_here(root: Path) -> Programs:
    """How programs of a tree are run that is of no build; natively where it is of this machine's architecture."""
    row = elf.architecture_of(root)
    return NATIVELY if row is None or runs_here(row) else emulated(row)


def runs_here(row: Architecture) -> bool:
    """Whether this machine runs programs of an architecture as they are."""
    here = host_row()
    return row.name == here.name or bool(set(here.uname) & set(row.runs_on))


def emulated(row: Architecture) -> Programs:
    """All programs emulated: as the machine has it registered, else by an emulator that is registered privately."""
    has = registration.registered(row)
    emulator = find(row)
    if (has and has.reaches_trees) or emulator is None:
        return Programs(row.name)
    return Programs(row.name, registration.line(row, emulator))


def find(row: Architecture) -> Path | None:
    """The program that emulates those of an architecture, which has to need no library; None where there is none."""
    for folder in SEARCH.split(":"):
        for ending in ("-static", ""):
            path = Path(folder, f"{row.qemu_user}{ending}")
            if path.is_file() and elf.is_static(path):
                return path.resolve()
    return None
