# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages installed into the tree by apt, which runs outside of it."""

from __future__ import annotations

from typing import Any

from ..bootstrap import apt, nearby
from ..bootstrap.apt import Apt
from ..errors import DebfleetError
from .request import Tree, expect_list


def check(value: Any) -> None:
    """A list of names, name=version, name/suite, or absolute paths of .deb files of the builder."""
    expect_list(value, str, "package names")


def install(tree: Tree, value: list[str]) -> None:
    """Install them with what they depend on."""
    if value:
        _install(tree, value)


def check_standard(value: Any) -> None:
    """`true`."""
    if value is not True:
        raise ValueError(f"must be true, not {value!r}")


def install_standard(tree: Tree, value: bool) -> None:
    """Install every package of priority standard."""
    _install(tree, [], standard=True)


def _install(tree: Tree, names: list[str], *, standard: bool = False) -> None:
    if tree.build is None:
        raise DebfleetError("packages can be installed only in a build: apt's settings lie in its folder")
    known = Apt.load(tree.build)
    words = [*names, *([apt.standard_pattern(known)] if standard else [])]
    lists = nearby.chosen(known, words).lists
    apt.install(tree.root, names, build=tree.build, standard=standard, lists=lists)
