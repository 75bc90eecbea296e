# SPDX-License-Identifier: GPL-3.0-or-later
"""Services may start: no policy-rc.d and no replaced start-stop-daemon of a build is left."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject
from .packages import owned

PATHS = ("/usr/sbin/policy-rc.d", "/sbin/start-stop-daemon.REAL", "/sbin/initctl.REAL")


def check(subject: Subject, result: Result) -> None:
    """policy-rc.d, and the daemons' starters that builders replace."""
    result.look(*PATHS)
    for path in PATHS:
        target = subject.root.link(path) or ""
        if subject.root.exists(path) and not target.startswith("/etc/alternatives") and not owned(subject.root, path):
            result.find(path, "left by a build: it keeps services from starting", "remove it when cleaning")
