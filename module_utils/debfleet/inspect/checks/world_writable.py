# SPDX-License-Identifier: GPL-3.0-or-later
"""No file can be written by everybody, and no folder without the sticky bit."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject


def check(subject: Subject, result: Result) -> None:
    """The mode of every file and folder."""
    result.look(f"{len(subject.root.entries)} files")
    for entry in subject.root.entries:
        if not entry.mode & 0o002:
            continue
        if entry.is_file():
            result.find(entry.path, f"everybody may write it ({entry.mode:04o})", "chmod o-w")
        elif entry.is_folder() and not entry.mode & 0o1000:
            result.find(entry.path, f"everybody may write in it, without the sticky bit ({entry.mode:04o})", "chmod +t")
    for unread in subject.root.unread:
        result.miss(unread)
