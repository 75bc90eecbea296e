# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages installed into the tree by apt, which runs outside of it."""

from __future__ import annotations

from typing import Any

from ..bootstrap import apt
from .request import Tree, expect_list


def check(value: Any) -> None:
    """A list of names, name=version, name/suite, or absolute paths of .deb files of the builder."""
    expect_list(value, str, "package names")


def install(tree: Tree, value: list[str]) -> None:
    """Install them with what they depend on."""
    if value:
        apt.install(tree.root, value, build=tree.build)
