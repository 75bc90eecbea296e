# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages installed into the tree by apt, which runs outside of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..bootstrap import apt
from ..errors import DebfleetError
from .request import Tree, expect_list


def check(value: Any) -> None:
    """A list of names, name=version, name/suite, or absolute paths of .deb files of the builder."""
    expect_list(value, str, "package names")


def install(tree: Tree, value: list[str]) -> None:
    """Install them with what they depend on."""
    if value:
        apt.install(tree.root, value, build=_build(tree))


def check_standard(value: Any) -> None:
    """`true`."""
    if value is not True:
        raise ValueError(f"must be true, not {value!r}")


def install_standard(tree: Tree, value: bool) -> None:
    """Install every package of priority standard."""
    apt.install(tree.root, [], build=_build(tree), standard=True)


def _build(tree: Tree) -> Path:
    if tree.build is None:
        raise DebfleetError("packages can be installed only in a build: apt's settings lie in its folder")
    return tree.build
