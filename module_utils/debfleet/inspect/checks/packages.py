# SPDX-License-Identifier: GPL-3.0-or-later
"""Every package is wholly installed: nothing half done, no trigger pending, nothing that dpkg --audit would tell."""

from __future__ import annotations

import re

from ..results import NOTE, Result
from ..root import Root
from ..subject import Subject

STATUS = "/var/lib/dpkg/status"
UPDATES = "/var/lib/dpkg/updates"
TRIGGERS = "/var/lib/dpkg/triggers/Unincorp"
INFO = "/var/lib/dpkg/info"
DONE = {"installed", "not-installed"}


def check(subject: Subject, result: Result) -> None:
    """dpkg's status and file lists, its journal of updates, and pending triggers."""
    root = subject.root
    result.look(STATUS, UPDATES, TRIGGERS)
    text = root.text(STATUS)
    if not text or not text.strip():
        result.miss(f"{STATUS}: it is {'empty' if text is not None else 'not there'}")
        return
    lists = {name for name in root.names(INFO) if name.endswith(".list")}
    for stanza in re.split(r"\n\s*\n", text.strip()):
        name = re.search(r"^Package:\s*(\S+)", stanza, re.M)
        status = re.search(r"^Status:\s*(\S+)\s+(\S+)\s+(\S+)", stanza, re.M)
        if not name or not status:
            result.miss(f"{STATUS}: a stanza has no name or no status")
            continue
        _want, flag, state = status.groups()
        if state == "config-files":
            result.find(STATUS, f"{name[1]} was removed, its settings are kept", "purge it", NOTE)
        elif state not in DONE or flag != "ok":
            result.find(STATUS, f"{name[1]} is {state} ({flag})", "dpkg --configure -a, or look why it failed")
        elif state == "installed" and not {f"{name[1]}.list", f"{name[1]}:{_architecture(stanza)}.list"} & lists:
            result.find(STATUS, f"{name[1]} has no list of its files", "install it again")
    for entry in root.below(UPDATES):
        result.find(entry.path, "dpkg was interrupted", "dpkg --configure -a")
    if (root.text(TRIGGERS) or "").strip():
        result.find(TRIGGERS, "triggers wait to be run", "dpkg --triggers-only --pending")


def _architecture(stanza: str) -> str:
    found = re.search(r"^Architecture:\s*(\S+)", stanza, re.M)
    return found[1] if found else ""


def owned(root: Root, path: str) -> bool:
    """Whether a package brought this file (also before /usr was merged)."""
    wanted = {path, path.removeprefix("/usr"), f"/usr{path}"}
    for name in root.names(INFO):
        if name.endswith(".list") and wanted & set((root.text(f"{INFO}/{name}") or "").splitlines()):
            return True
    return False
