# SPDX-License-Identifier: GPL-3.0-or-later
"""What a manifest may already say and no build can make yet: told by the plan, refused by the build."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..architectures import TABLE
from ..bootloader import BOOTLOADERS
from ..disk.filesystems import FILESYSTEMS
from ..disk.formats import FORMATS

BUILT: dict[tuple[str, str], Collection[str]] = {
    ("volume", "backing"): FORMATS,
    ("system", "architecture"): TABLE,
    ("system", "bootloader"): BOOTLOADERS,
    ("system", "userspace_architecture"): (),
}


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
