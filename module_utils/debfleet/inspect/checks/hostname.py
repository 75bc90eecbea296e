# SPDX-License-Identifier: GPL-3.0-or-later
"""The builder's host name is nowhere in the image's own settings."""

from __future__ import annotations

import re

from ..results import Result
from ..subject import Subject

PATTERNS = (
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mailname",
    "/etc/hosts.allow",
    "/etc/postfix/main.cf",
    "/etc/exim4/update-exim4.conf.conf",
    "/etc/ssmtp/ssmtp.conf",
    "/etc/machine-info",
    "/etc/aliases",
    "/etc/mdadm/mdadm.conf",
    "/etc/lvm/backup/*",
    "/etc/lvm/archive/*",
)


def check(subject: Subject, result: Result) -> None:
    """The files that programs write the machine's name into."""
    result.look(*PATTERNS)
    wanted = subject.asked.hostname()
    names = sorted(name for name in subject.host.names if name not in (wanted, wanted.split(".")[0]))
    for path in subject.root.glob(*PATTERNS):
        text = subject.root.text(path) or ""
        for name in names:
            if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE):
                if not subject.asked.copied(path):
                    result.find(path, f"the builder's host name {name}", "write the image's own, or remove it")
                break
