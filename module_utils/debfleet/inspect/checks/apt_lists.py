# SPDX-License-Identifier: GPL-3.0-or-later
"""apt's lists and caches are empty."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject

LISTS = "/var/lib/apt/lists"
CACHE = "/var/cache/apt"
KEPT = {"lock"}


def check(subject: Subject, result: Result) -> None:
    """Package indexes, apt's binary caches, and downloaded packages."""
    result.look(LISTS, f"{CACHE}/*.bin", f"{CACHE}/archives")
    for top, what in ((LISTS, "a package index"), (CACHE, "apt's cache")):
        files = [e for e in subject.root.below(top) if not e.is_folder() and e.path.rpartition("/")[2] not in KEPT]
        for entry in files[:20]:
            result.find(entry.path, f"{what} ({entry.stat.st_size} bytes)", "apt-get clean, and empty the lists")
        if len(files) > 20:
            result.find(top, f"and {len(files) - 20} more files", "apt-get clean, and empty the lists")
