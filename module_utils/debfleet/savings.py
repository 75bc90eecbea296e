# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes an image smaller, and by how much: noted by each step of a build, in its folder."""

from __future__ import annotations

import json
from pathlib import Path

FILE = "savings.json"  # in the work folder: bytes before and after, by measure


def read(build: Path | None) -> dict[str, dict[str, int]]:
    """By measure: {"before": bytes, "after": bytes}."""
    path = build / FILE if build else None
    found: dict[str, dict[str, int]] = json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}
    return found


def note(build: Path | None, measure: str, before: int, after: int) -> None:
    """Note a measure's bytes; a later note of the same measure takes the place of an earlier."""
    if build:
        known = read(build)
        (build / FILE).write_text(json.dumps({**known, measure: {"before": before, "after": after}}), encoding="utf-8")
