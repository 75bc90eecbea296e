# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree that is asked for, and what its variant puts into it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .apt import of_suite

REQUIRED = ("required",)
PRIORITIES: dict[str, tuple[str, ...]] = {  # minbase and buildd have what is required
    "essential": (),
    "apt": (),
    "important": ("required", "important"),
    "standard": ("required", "important", "standard"),
}


@dataclass(frozen=True)
class Tree:
    """The tree that a bootstrap tool is asked for."""

    root: Path
    suite: str
    architecture: str
    variant: str = "minbase"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    components: tuple[str, ...] = ("main",)


def base_set(tree: Tree) -> list[str]:
    """What the bootstrap tool itself puts into a tree of this variant, as words for apt-get install."""
    here = f"{of_suite(tree.suite)},?architecture({tree.architecture})"
    essential = f"?narrow({here},?essential)"
    out = "".join(f",?not(?exact-name({name}))" for name in tree.exclude)
    if tree.variant in ("custom", "extract"):
        return []
    words = [essential] + [f"?narrow({here},?priority({name}){out})" for name in PRIORITIES.get(tree.variant, REQUIRED)]
    words += ["apt"] if tree.variant != "essential" else []
    words += ["build-essential"] if tree.variant == "buildd" else []
    return words
