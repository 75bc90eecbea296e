# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a bootloader writes into a tree."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write a file of the tree, for all to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
