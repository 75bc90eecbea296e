# SPDX-License-Identifier: GPL-3.0-or-later
"""What fstab and the boot loader name is in the image, by UUID or label, never a device of the builder."""

from __future__ import annotations

import re

from ..fstab import entries, named
from ..results import Result
from ..subject import Subject

FSTAB = "/etc/fstab"
BOOT = ("/boot/grub/grub.cfg", "/boot/extlinux/extlinux.conf", "/boot/syslinux/syslinux.cfg", "/etc/kernel/cmdline")
BUILDERS = re.compile(r"/dev/(?:loop|mapper/|nbd|dm-)\S*")
IDS = re.compile(r"(PART)?(UUID|LABEL)=|/dev/disk/by-")


def check(subject: Subject, result: Result) -> None:
    """Every line of fstab, and root= of the boot loaders' settings."""
    root = subject.root
    result.look(FSTAB, *BOOT)
    for spec, where, _kind, _options in entries(root.text(FSTAB) or ""):
        if BUILDERS.match(spec):
            result.find(FSTAB, f"{where} is on {spec}, a device of the builder", "name it by UUID")
        elif subject.raw and IDS.match(spec) and not named(spec, subject.filesystems):
            result.find(FSTAB, f"{where} is on {spec}, which is not in the image", "write what the image has")
    for path in root.glob(*BOOT):
        for spec in sorted(set(re.findall(r"\broot=(\S+)", root.text(path) or ""))):
            if BUILDERS.match(spec):
                result.find(path, f"the kernel is told root={spec}, a device of the builder", "write root=UUID=…")
            elif subject.raw and IDS.match(spec) and not named(spec, subject.filesystems):
                result.find(path, f"the kernel is told root={spec}, which is not in the image", "write root=UUID=…")
