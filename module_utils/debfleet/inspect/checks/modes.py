# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that guard a system have their owner and mode: shadow, sudoers, /root, /tmp and the root itself."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject

# path: the permission bits it may have at most, and those it must have
MODES = {
    "/": (0o755, 0o555),
    "/etc": (0o755, 0o755),
    "/etc/passwd": (0o644, 0o644),
    "/etc/group": (0o644, 0o644),
    "/etc/shadow": (0o640, 0),
    "/etc/gshadow": (0o640, 0),
    "/etc/shadow-": (0o640, 0),
    "/etc/gshadow-": (0o640, 0),
    "/etc/sudoers": (0o440, 0),
    "/root": (0o750, 0o700),
    "/tmp": (0o1777, 0o1777),
    "/var/tmp": (0o1777, 0o1777),
}


def check(subject: Subject, result: Result) -> None:
    """Mode and owner of the accounts' files, of sudo's, and of the top folders."""
    for path in [*MODES, *subject.root.glob("/etc/sudoers.d/*")]:
        most, least = MODES.get(path, (0o440, 0))
        result.look(path)
        entry = subject.root.entry(path)
        if entry is None or entry.is_link():
            continue
        if entry.mode & ~most or entry.mode & least != least:
            result.find(path, f"its mode is {entry.mode:04o}", f"chmod {most:04o}")
        if entry.stat.st_uid != 0:
            result.find(path, f"it belongs to {entry.stat.st_uid}, not to root", "chown root")
