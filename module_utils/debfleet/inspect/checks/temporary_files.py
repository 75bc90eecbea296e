# SPDX-License-Identifier: GPL-3.0-or-later
"""No temporary file and no history of commands is in the image."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject

EMPTY = ("/tmp", "/var/tmp", "/run")
HISTORIES = (".bash_history", ".ash_history", ".python_history", ".lesshst", ".viminfo", ".wget-hsts", "nohup.out")
FOLDERS = (".cache", ".ansible", ".gnupg", ".local")


def check(subject: Subject, result: Result) -> None:
    """/tmp, /var/tmp, /run, lost+found, and what shells and tools remember in home folders."""
    root = subject.root
    homes = ["/root", *root.glob("/home/*")]
    result.look(*EMPTY, "/lost+found", *(f"{home}/{name}" for home in homes[:1] for name in (*HISTORIES, *FOLDERS)))
    for top in EMPTY:
        for entry in root.below(top):
            if (top == "/run" and entry.is_folder()) or entry.path.endswith("/lost+found"):
                continue  # packages ship empty folders below /run
            result.find(entry.path, "a temporary file", "remove it when cleaning")
    for entry in root.below("/lost+found"):
        result.find(entry.path, "recovered from a broken filesystem", "build the image again")
    for home in homes:
        for name in HISTORIES:
            if root.exists(f"{home}/{name}"):
                result.find(f"{home}/{name}", "a history of what was done while building", "remove it when cleaning")
        for name in FOLDERS:
            if any(not entry.is_folder() for entry in root.below(f"{home}/{name}")):
                result.find(f"{home}/{name}", "files of programs that ran while building", "remove it when cleaning")
