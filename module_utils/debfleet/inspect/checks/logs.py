# SPDX-License-Identifier: GPL-3.0-or-later
"""No log tells of the build: every file below /var/log is empty, and the journal has none."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject

FOLDERS = ("/var/log", "/var/lib/systemd/coredump", "/var/crash", "/var/mail", "/var/spool/mail")


def check(subject: Subject, result: Result) -> None:
    """Logs, journals, crash dumps and mail."""
    result.look(*FOLDERS)
    for entry in subject.root.below(*(folder for folder in FOLDERS if not subject.root.link(folder))):
        if entry.is_file() and entry.stat.st_size:
            result.find(entry.path, f"a log of {entry.stat.st_size} bytes", "empty or remove it when cleaning")
