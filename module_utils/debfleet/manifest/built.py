# SPDX-License-Identifier: GPL-3.0-or-later
"""What a manifest may already say and no build can make yet: told by the plan, refused by the build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BUILT = {
    ("volume", "backing"): ("raw", "qcow2"),
    ("system", "bootloader"): ("grub", "none"),
    ("system", "userspace_architecture"): (),
}
FILESYSTEMS = ("ext2", "ext3", "ext4")


def not_built(data: Mapping[str, Any]) -> list[str]:
    """What of a canonical manifest is not built yet, each as ``volume.backing vdi``."""
    found = []
    for (section, key), done in BUILT.items():
        value = data[section].get(key)
        if value is not None and value not in done:
            found.append(f"{section}.{key} {value}")
    for name, part in data["volume"]["partitions"].items():
        if isinstance(part, Mapping) and "filesystem" in part and part["filesystem"] not in FILESYSTEMS:
            found.append(f"volume.partitions.{name}.filesystem {part['filesystem']}")
    return found
