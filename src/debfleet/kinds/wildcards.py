# SPDX-License-Identifier: GPL-3.0-or-later
"""Which architectures the words of a source package's field Architecture mean: `any`, `linux-any`, `any-arm` …"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from debfleet.common.errors import MissingError

ALL = "all"


@cache
def _table() -> Any:
    """dpkg's own table of architectures."""
    try:
        from debian.debian_support import DpkgArchTable
    except ImportError as error:
        raise MissingError("python-debian is not installed", hint="pip install python-debian, or make setup") from error
    try:
        return DpkgArchTable.load_arch_table()
    except OSError as error:
        raise MissingError(
            "dpkg's table of architectures is not here", why=str(error), hint="apt-get install dpkg"
        ) from error


@cache
def matches(architecture: str, word: str) -> bool:
    """Whether an architecture is meant by a word. `all` means none of them: it is built on any machine."""
    if word in ("any", architecture):
        return True
    return word != ALL and "any" in word.split("-") and bool(_table().matches_architecture(architecture, word))


def matches_any(architecture: str, words: Iterable[str]) -> bool:
    """Whether an architecture is meant by one of the words."""
    return any(matches(architecture, word) for word in words)
