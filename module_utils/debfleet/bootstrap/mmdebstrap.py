# SPDX-License-Identifier: GPL-3.0-or-later
"""mmdebstrap: its command line, and its progress read from what it says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import journal
from .variant import Tree, base_set

# The setup hook: apt reads the lists of the build's folder, and the settings that hold while building, from a file that
# only mmdebstrap's own apt ever sees. The tree gets neither.
SETUP = 'cat "$0" >> "$MMDEBSTRAP_APT_CONFIG"'
# Files with what binds the tools for a tree of another architecture, and takes them away: $1 is the tree.
BIND, UNBIND = "bind-tools", "unbind-tools"


def hooks(binds: Mapping[str, str]) -> dict[str, str]:
    """The texts of BIND and UNBIND: what has to be in the tree while its programs run, host path to path inside."""
    down = [f'umount "$1{inside}"' for inside in reversed(list(binds.values()))]
    up = [
        line
        for host, inside in binds.items()
        for line in (f'mkdir -p "$1{inside}"', f'mount --bind {shlex.quote(host)} "$1{inside}"')
    ]
    first = next(iter(binds.values()), "")
    return {
        BIND: "\n".join(["set -e", *up, ""]),
        UNBIND: "\n".join(["set -e", *down, *([f'rmdir "$1{first}"'] if first else []), ""]),
    }


def argv(tree: Tree, sources: Path, conf: Path, *, mode: str = "root", tools: bool = False) -> list[str]:
    """The command line.

    :param sources: file with the sources of the build.
    :param conf: apt.conf with the settings that hold while building.
    :param tools: whether the scripts BIND and UNBIND lie beside it, for a tree of another architecture.
    """
    variant, words = tree.variant, []
    if tree.exclude and tree.variant not in ("custom", "extract"):
        # mmdebstrap can't exclude: so it gets the variant's packages, less those, as patterns to include
        variant, words = "essential", base_set(tree)[1:]
    hook = f"sh -c '{SETUP}' {conf}"
    bind, unbind = (f'sh {conf.parent / name} "$1"' for name in (BIND, UNBIND))
    return [
        "mmdebstrap",
        f"--mode={mode}",
        "--verbose",
        "--format=directory",
        f"--variant={variant}",
        f"--architectures={tree.architecture}",
        *([f"--include={','.join(tree.include)}"] if tree.include else []),
        *(f"--include={word}" for word in words),
        "--skip=update,cleanup/apt/lists,check/qemu",  # the builder knows what runs here
        "--dpkgopt=force-unsafe-io",
        f"--setup-hook={hook}",
        *([f"--setup-hook={bind}", f"--customize-hook={unbind}"] if tools else []),
        tree.suite,
        str(tree.root),
        str(sources),
    ]


@dataclass
class Progress:
    """What mmdebstrap does, from its lines: fed with each, it tells the build how far it is."""

    total: int = 0
    done: int = 0
    stage: str = "starting"

    def feed(self, line: str) -> None:
        """Take one line of its output."""
        step = self.step(line)
        if step:
            journal.tell(f"bootstrap: {step}", self.done or None, self.total or None)

    def step(self, line: str) -> str:
        """The words for this line, and none when it moves nothing."""
        if match := re.match(r"(\d+) upgraded, (\d+) newly installed", line):
            self.total += 3 * int(match[2])
        elif match := re.match(r"(?:Get:\d+ \S+ \S+ \S+ (\S+) |Unpacking (\S+) |Setting up (\S+) )", line):
            self.done += 1
            name = (match[1] or match[2] or match[3]).partition(":")[0]
            verb = {"G": "getting", "U": "unpacking", "S": "setting up"}[line[0]]
            return f"{verb} {name}"
        elif match := re.match(r"I: ([a-z].*?)(?:\.\.\.)?$", line):
            return match[1]
        return ""
