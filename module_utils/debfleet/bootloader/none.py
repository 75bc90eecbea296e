# SPDX-License-Identifier: GPL-3.0-or-later
"""No bootloader: whatever runs the image is handed its kernel and initrd, which are copied out beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..disk.shape import Layout


def packages(system: Mapping[str, Any]) -> list[str]:
    """The Debian packages that the image needs for it: none."""
    del system
    return []


def configure(tree: Path, layout: Layout, system: Mapping[str, Any], console: str) -> None:
    """Nothing is written."""
    del tree, layout, system, console


def install(
    disk: Path, layout: Layout, tree: Path, system: Mapping[str, Any], *, check_mode: bool = False
) -> list[str]:
    """Nothing is written."""
    del disk, layout, tree, system, check_mode
    return []
