# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands run inside the tree, and the units of systemd that are enabled in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..namespace import run_in_root
from .request import Tree, expect_keys, expect_list


def check_commands(value: Any) -> None:
    """A list of argument lists."""
    expect_list(value, list, "argument lists, like [apt-get, update]")
    for argv in value:
        expect_list(argv, str, "words")
        if not argv:
            raise ValueError("a command needs at least one word")


def run_commands(tree: Tree, value: list[list[str]]) -> None:
    """Run each inside the tree, in order; the first that fails ends it."""
    for argv in value:
        run_in_root(tree.root, argv)


def check_services(value: Any) -> None:
    """{enable: [unit…], disable: […], mask: […]}."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a mapping of enable, disable and mask, not {value!r}")
    expect_keys(value, set(), {"enable", "disable", "mask"})
    for units in value.values():
        expect_list(units, str, "units")


def set_services(tree: Tree, value: Mapping[str, list[str]]) -> None:
    """Enable, disable and mask units; nothing is started."""
    for verb, units in value.items():
        if units:
            run_in_root(tree.root, ["systemctl", verb, *units])
