# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file belongs to a user and a group that the image knows."""

from __future__ import annotations

from ..results import Result
from ..root import Root
from ..subject import Subject

MOST = 20


def ids(root: Root, path: str) -> set[int]:
    """The numbers in passwd or group."""
    fields = (line.split(":") for line in (root.text(path) or "").splitlines())
    return {int(words[2]) for words in fields if len(words) > 2 and words[2].isdigit()}


def check(subject: Subject, result: Result) -> None:
    """The owner and group of every file."""
    root = subject.root
    users, groups = ids(root, "/etc/passwd"), ids(root, "/etc/group")
    result.look("/etc/passwd", "/etc/group", f"{len(root.entries)} files")
    if not users or not groups:
        result.miss("/etc/passwd and /etc/group: they name nobody")
        return
    strangers = [e for e in root.entries if e.stat.st_uid not in users or e.stat.st_gid not in groups]
    for entry in strangers[:MOST]:
        what = f"it belongs to {entry.stat.st_uid}:{entry.stat.st_gid}, unknown in the image"
        result.find(entry.path, what, "give it to root, or make the account")
    if len(strangers) > MOST:
        result.find("/", f"and {len(strangers) - MOST} more files of unknown owners", "give them to root")
    for unread in root.unread:
        result.miss(unread)
