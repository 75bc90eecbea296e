# SPDX-License-Identifier: GPL-3.0-or-later
"""No local diversion of dpkg is left: a build that diverted a file has put it back."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject

DIVERSIONS = "/var/lib/dpkg/diversions"
LOCAL = ":"


def check(subject: Subject, result: Result) -> None:
    """dpkg's diversions that belong to no package."""
    result.look(DIVERSIONS)
    lines = (subject.root.text(DIVERSIONS) or "").splitlines()
    if len(lines) % 3:
        result.miss(f"{DIVERSIONS}: it is cut short")
    for path, target, package in zip(lines[::3], lines[1::3], lines[2::3], strict=False):
        if package == LOCAL:
            result.find(path, f"diverted to {target} by the build", f"dpkg-divert --local --rename --remove {path}")
