# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of the bootstrap tool is left: no second stage, no settings of its own, no emulator, no preloaded library."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject
from .packages import owned

PATTERNS = (
    "/debootstrap",
    "/etc/apt/apt.conf.d/99mmdebstrap",
    "/etc/apt/apt.conf.d/00mmdebstrap",
    "/etc/apt/apt.conf.d/*debfleet*",
    "/etc/apt/sources.list.d/*mmdebstrap*",
    "/etc/apt/trusted.gpg.d/*mmdebstrap*",
    "/etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "/usr/bin/qemu-*-static",
    "/.dockerenv",
    "/.debfleet*",
    "/etc/fstab.orig",
)
PRELOAD = "/etc/ld.so.preload"


def check(subject: Subject, result: Result) -> None:
    """Files that debootstrap, mmdebstrap, containers and emulation leave."""
    result.look(*PATTERNS, PRELOAD)
    for path in subject.root.glob(*PATTERNS):
        if not owned(subject.root, path) and not subject.asked.copied(path):
            result.find(path, "left by the bootstrap", "remove it when cleaning")
    if (subject.root.text(PRELOAD) or "").strip() and not subject.asked.copied(PRELOAD):
        result.find(PRELOAD, "a library that every program loads, left by the bootstrap", "remove it when cleaning")
