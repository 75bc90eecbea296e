# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files run with the rights of their owner or group: told, never a finding."""

from __future__ import annotations

from ..results import NOTE, Result
from ..subject import Subject


def check(subject: Subject, result: Result) -> None:
    """Every file with the setuid or setgid bit."""
    result.look(f"{len(subject.root.entries)} files")
    for entry in subject.root.entries:
        if entry.is_file() and entry.mode & 0o6000:
            bits = " and ".join(w for bit, w in ((0o4000, "setuid"), (0o2000, "setgid")) if entry.mode & bit)
            result.find(entry.path, f"{bits} ({entry.stat.st_uid}:{entry.stat.st_gid})", severity=NOTE)
    for unread in subject.root.unread:
        result.miss(unread)
