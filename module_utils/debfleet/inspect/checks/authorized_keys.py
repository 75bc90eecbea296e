# SPDX-License-Identifier: GPL-3.0-or-later
"""No SSH key opens an account unless the manifest asked for it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ..results import Result
from ..subject import Subject

NAMES = (".ssh/authorized_keys", ".ssh/authorized_keys2", ".ssh/rhosts", ".shosts", ".rhosts")
GLOBAL = ("/etc/ssh/authorized_keys*", "/etc/ssh/authorized_keys.d/*", "/etc/ssh/keys/*", "/etc/hosts.equiv")


def check(subject: Subject, result: Result) -> None:
    """The authorized_keys of every account, and the folders that sshd may be pointed to."""
    root, asked = subject.root, subject.asked.keys()
    homes = {"/root": "root"}
    for line in (root.text("/etc/passwd") or "").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[5].strip("/"):
            homes.setdefault(fields[5].rstrip("/"), fields[0])
    for home in root.glob("/home/*"):
        homes.setdefault(home, home.rpartition("/")[2])
    paths = {f"{home}/{name}": user for home, user in homes.items() for name in NAMES}
    paths |= {path: path.rpartition("/")[2] for path in root.glob(*GLOBAL)}
    result.look(*(path for path in paths if path.endswith("authorized_keys")), *GLOBAL)
    for path, user in paths.items():
        lines = (line.strip() for line in (root.text(path) or "").splitlines())
        keys = [line for line in lines if line and not line.startswith("#")]
        allowed = wanted(asked[user]) if user in asked else set()
        strangers = [key for key in keys if allowed is not None and words(key) not in allowed]
        if strangers and not subject.asked.copied(path):
            comment = strangers[0].split()[-1] if len(strangers[0].split()) > 2 else strangers[0].split()[0]
            what = f"{len(strangers)} key{'s' * (len(strangers) > 1)} that nobody asked for ({comment})"
            result.find(path, what, "remove it, or ask for it in the manifest (admin_user.pubkey)")


def words(line: str) -> tuple[str, str]:
    """The kind and the key of a line, without options and comment."""
    parts = line.split()
    at = next((n for n, part in enumerate(parts) if part.startswith(("ssh-", "ecdsa-", "sk-"))), 0)
    return parts[at], parts[at + 1] if len(parts) > at + 1 else ""


def wanted(pubkey: str) -> set[tuple[str, str]] | None:
    """The keys that a manifest's `pubkey` (a key, or a path to a file of keys) allows; None: any, it can't be told."""
    if pubkey.startswith(("ssh-", "ecdsa-", "sk-")):
        return {words(line) for line in pubkey.splitlines() if line.strip()}
    with contextlib.suppress(OSError, ValueError):
        if pubkey:
            lines = Path(pubkey).read_text(encoding="utf-8").splitlines()
            return {words(line) for line in lines if line.strip() and not line.startswith("#")}
    return None
