# SPDX-License-Identifier: GPL-3.0-or-later
"""debootstrap: its command line, and its progress read from what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .. import journal
from .sources import Source
from .variant import Tree


def argv(tree: Tree, mirror: Source, *, check: bool = True, force_check: bool = False) -> list[str]:
    """The command line. debootstrap takes one mirror, without pockets, and no variant as its largest."""
    keyring = mirror.signed_by.partition(",")[0]
    variant = [] if tree.variant in ("", "important", "standard", "-") else [f"--variant={tree.variant}"]
    return [
        "debootstrap",
        f"--arch={tree.architecture}",
        *variant,
        f"--components={','.join(tree.components)}",
        *([f"--include={','.join(tree.include)}"] if tree.include else []),
        *([f"--exclude={','.join(tree.exclude)}"] if tree.exclude else []),
        *([f"--keyring={keyring}"] if keyring.startswith("/") and check else []),
        *([] if check else ["--no-check-gpg"]),
        *(["--force-check-gpg"] if force_check and check else []),
        tree.suite,
        str(tree.root),
        mirror.uri,
    ]


@dataclass
class Progress:
    """What debootstrap does, from its lines: fed with each, it tells the build how far it is."""

    got: int = 0
    done: int = 0

    def feed(self, line: str) -> None:
        """Take one line of its output."""
        step = self.step(line)
        if step:
            total = 4 * self.got if self.done > self.got else None
            journal.tell(f"bootstrap: {step}", min(self.done, total) if total else None, total)

    def step(self, line: str) -> str:
        """The words for this line, and none when it moves nothing."""
        match = re.match(r"I: (Retrieving|Validating|Extracting|Unpacking|Configuring) (.+?)(?:\.\.\.)?$", line)
        if not match:
            return ""
        if match[1] == "Retrieving" and match[2] not in ("InRelease", "Release", "Release.gpg", "Packages"):
            self.got += 1
        if match[1] != "Retrieving":
            self.done += 1
        return f"{match[1].lower()} {match[2]}"
