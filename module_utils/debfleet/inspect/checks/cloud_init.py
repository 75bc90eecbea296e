# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud-init has not run yet: it would take the first boot for a later one."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject

PATTERNS = (
    "/var/lib/cloud/instance",
    "/var/lib/cloud/instances/*",
    "/var/lib/cloud/data/*",
    "/var/lib/cloud/sem/*",
    "/var/lib/cloud/seed/*/*",
    "/var/log/cloud-init*",
    "/etc/cloud/cloud-init.disabled",
    "/etc/netplan/50-cloud-init.yaml",
    "/etc/network/interfaces.d/50-cloud-init*",
)


def check(subject: Subject, result: Result) -> None:
    """State, seeds, logs and generated network settings of cloud-init."""
    result.look(*PATTERNS)
    for path in subject.root.glob(*PATTERNS):
        if not subject.asked.copied(path):
            result.find(path, "state of a cloud-init that ran while building", "cloud-init clean --logs --seed")
