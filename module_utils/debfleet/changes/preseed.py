# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers given to debconf before the packages that ask are installed."""

from __future__ import annotations

from typing import Any

from ..errors import DebfleetError
from ..manifest.formats import is_selections
from ..namespace import run_in_root
from .request import Tree

PROGRAM = "usr/bin/debconf-set-selections"


def check_debconf(value: Any) -> None:
    """Lines as debconf-set-selections(1) reads them: OWNER QUESTION TYPE VALUE."""
    if not isinstance(value, str) or not is_selections(value):
        raise ValueError("must be lines of OWNER QUESTION TYPE VALUE, as debconf-set-selections reads them")


def preseed(tree: Tree, value: str) -> None:
    """Give the answers; packages that are installed from here on find them. They are told by standard input, for a
    password may be among them.
    """
    if not (tree.root / PROGRAM).exists():
        raise DebfleetError("the image has no debconf", hint="let bootstrapper.include_packages have debconf")
    run_in_root(tree.root, ["debconf-set-selections"], stdin=value.rstrip("\n") + "\n")
