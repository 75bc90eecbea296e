# SPDX-License-Identifier: GPL-3.0-or-later
"""The wheel's extra contents: what Ansible and the manifest's check read, as debfleet/_house inside the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HOUSE = (
    *("playbooks", "roles", "library", "module_utils", "inventory", "schemas", "manifests"),
    *("action_plugins", "callback_plugins", "connection_plugins", "filter_plugins"),
)
FILES = ("ansible.cfg", "scripts/debian-packages")  # the latter for debfleet doctor


class WheelHook(BuildHookInterface[Any]):
    """Adds the house to a wheel; playbooks' symlinks become real files, since a wheel has no others."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name each file and where it goes; an editable install reads the clone itself."""
        if version == "editable":
            return
        root = Path(self.root)
        for source in (*(root / name for name in FILES), *(path for name in HOUSE for path in walk(root / name))):
            build_data["force_include"][str(source)] = f"debfleet/_house/{source.relative_to(root)}"


def walk(folder: Path) -> list[Path]:
    """Every file below a folder, also through symlinks, without what Python and editors leave."""
    if not folder.is_dir():
        return []
    files = []
    for path in sorted(folder.iterdir()):
        if path.name == "__pycache__" or path.suffix == ".pyc":
            continue
        files += walk(path) if path.is_dir() else [path]
    return files
