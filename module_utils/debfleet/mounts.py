# SPDX-License-Identifier: GPL-3.0-or-later
"""Where something is mounted, so that no folder is removed with what is mounted in it."""

from __future__ import annotations

import re
from pathlib import Path


def mounts_below(folder: Path) -> list[str]:
    """Where something is mounted below a folder, as this process sees it."""
    above = f"{folder.resolve()}/"
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4]) for line in lines]
    return [point for point in points if point.startswith(above)]
