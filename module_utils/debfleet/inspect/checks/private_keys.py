# SPDX-License-Identifier: GPL-3.0-or-later
"""No private key was made while building: a snake-oil certificate would be the same on every machine."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject

PATTERNS = (
    "/etc/ssl/private/*",
    "/root/.ssh/id_*",
    "/home/*/.ssh/id_*",
    "/root/.gnupg/private-keys-v1.d/*",
    "/root/.aws/credentials",
    "/etc/wireguard/*.key",
)


def check(subject: Subject, result: Result) -> None:
    """Private keys of TLS, SSH and GnupG, and AWS credentials, in their usual places."""
    result.look(*PATTERNS)
    for path in subject.root.glob(*PATTERNS):
        entry = subject.root.entry(path, follow=True)
        if entry is None or not entry.is_file() or not entry.stat.st_size or path.endswith(".pub"):
            continue
        if not subject.asked.copied(path):
            result.find(path, "a private key, the same on every machine of this image", "make it at first boot")
