# SPDX-License-Identifier: GPL-3.0-or-later
"""No account has a password that the manifest did not ask for, and none an empty one; backups of shadow included."""

from __future__ import annotations

import re

from ..results import Result
from ..subject import Subject

SHADOW = ("/etc/shadow", "/etc/shadow-")
PASSWD = ("/etc/passwd", "/etc/passwd-")
GSHADOW = ("/etc/gshadow", "/etc/gshadow-")
DEBCONF = "/var/cache/debconf/passwords.dat"
LOCKED = ("!", "*")


def check(subject: Subject, result: Result) -> None:
    """The password fields of passwd, shadow and gshadow, and the answers that debconf keeps."""
    result.look(*SHADOW, *PASSWD, *GSHADOW, DEBCONF)
    if re.search(r"(?m)^Value:[ \t]*\S", subject.root.text(DEBCONF) or ""):
        result.find(DEBCONF, "the answer to a question for a password", "clear it: debconf-communicate reset")
    asked = subject.asked.passwords()
    for path in (*SHADOW, *PASSWD, *GSHADOW):
        text = subject.root.text(path)
        if text is None and path in ("/etc/shadow", "/etc/passwd"):
            result.miss(f"{path}: it is not there")
        for line in (text or "").splitlines():
            name, _, rest = line.partition(":")
            field = rest.partition(":")[0]
            if not rest or field.startswith(LOCKED) or (path in PASSWD and field == "x"):
                continue
            if not field and path in GSHADOW:
                continue  # a group without a password can't be joined by one
            if not field:
                result.find(path, f"{name} has an empty password", "lock the account (passwd --lock)")
            elif name not in asked:
                hint = "lock the account, or ask for it in the manifest (admin_user, root_password)"
                result.find(path, f"{name} has a password that nobody asked for", hint)
