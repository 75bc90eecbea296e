# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine has no identity yet: /etc/machine-id is absent, empty or `uninitialized`, and no other id is there."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject

MACHINE_ID = "/etc/machine-id"
DBUS = "/var/lib/dbus/machine-id"
OTHERS = ("/etc/nvme/hostid", "/etc/nvme/hostnqn", "/etc/iscsi/initiatorname.iscsi", "/etc/multipath/wwids")


def check(subject: Subject, result: Result) -> None:
    """systemd's and D-Bus's machine id, and the ids of NVMe over fabrics and iSCSI."""
    result.look(MACHINE_ID, DBUS, *OTHERS)
    root = subject.root
    if (root.text(MACHINE_ID) or "").strip() not in ("", "uninitialized"):
        result.find(MACHINE_ID, "a machine id, the same on every machine of this image", "empty it when cleaning")
    if root.link(DBUS) is None and (root.text(DBUS) or "").strip():
        result.find(DBUS, "a machine id of its own", f"remove it, or make it a link to {MACHINE_ID}")
    for path in OTHERS:
        lines = (line.split("#")[0].strip() for line in (root.text(path) or "").splitlines())
        if any(line and not line.startswith("GenerateName=") for line in lines):
            result.find(path, "an id made for the builder", "remove it when cleaning")
