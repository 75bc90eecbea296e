# SPDX-License-Identifier: GPL-3.0-or-later
"""No host key of SSH is in the image: each machine makes its own at first boot."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject

PATTERNS = ("/etc/ssh/ssh_host_*", "/etc/dropbear/dropbear_*_host_key", "/etc/dropbear/initramfs/dropbear_*_host_key")


def check(subject: Subject, result: Result) -> None:
    """SSH host keys of OpenSSH and dropbear."""
    result.look(*PATTERNS)
    for path in subject.root.glob(*PATTERNS):
        result.find(path, "a host key, the same on every machine of this image", "remove it when cleaning")
