# SPDX-License-Identifier: GPL-3.0-or-later
"""The builder's host name is nowhere in the image's own settings."""

from __future__ import annotations

import re

from ..results import Result
from ..subject import Subject

# What these hold is a host name wherever it stands; in postfix's settings, the values of these three.
NAMES = ("/etc/hostname", "/etc/mailname", "/etc/hosts")
POSTFIX = "/etc/postfix/main.cf"
POSTFIX_NAMES = re.compile(r"^(?:myhostname|mydestination|myorigin)\s*=(.*)$", re.MULTILINE)
OTHERS = (
    "/etc/hosts.allow",
    "/etc/exim4/update-exim4.conf.conf",
    "/etc/ssmtp/ssmtp.conf",
    "/etc/machine-info",
    "/etc/aliases",
    "/etc/mdadm/mdadm.conf",
    "/etc/lvm/backup/*",
    "/etc/lvm/archive/*",
)
WORDS = {"debian", "host", "image", "mail", "root", "server", "vm"}  # in OTHERS they needn't be the builder


def check(subject: Subject, result: Result) -> None:
    """The files that programs write the machine's name into."""
    root = subject.root
    result.look(*NAMES, POSTFIX, *OTHERS)
    wanted = subject.asked.hostname().lower()
    names = {name.lower() for name in subject.host.names} - {wanted, wanted.split(".")[0]}
    for path in root.glob(*NAMES, POSTFIX, *OTHERS):
        text = root.text(path) or ""
        if path == POSTFIX:
            text = "\n".join(POSTFIX_NAMES.findall(text))
        lines = [line.partition("#")[0].lower() for line in text.splitlines()]
        words = {word for line in lines for word in re.split(r"[\s,;:=@'\"]+", line)}
        found = words & (names if path in (*NAMES, POSTFIX) else names - WORDS)
        if found and not subject.asked.copied(path):
            what = f"the builder's host name {', '.join(sorted(found))}"
            result.find(path, what, "write the image's own, or remove it")
