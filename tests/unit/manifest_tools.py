# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of manifests share."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from debfleet import house
from debfleet.common import manifest
from debfleet.common.manifest import Checked, Problem

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "name": "good",
    "provider": {"name": "kvm"},
    "system": {"release": "trixie", "architecture": "amd64"},
    "volume": {"backing": "raw", "size": "2GiB", "partitions": {"type": "gpt", "root": {"size": "remaining"}}},
    "plugins": {"cloud_init": {}},
}


def check(path: Path, *role_paths: Path, decrypt: Callable[[str], str] | None = None) -> Checked:
    """Check a file by debfleet's schemas, with roles of these folders before its own."""
    paths = [*role_paths, house.roles()]
    return manifest.check(path, role_paths=paths, schema_dir=house.schemas(), now=NOW, decrypt=decrypt)


def good(**changes: Any) -> dict[str, Any]:
    """A good manifest with sections replaced, or left out where None."""
    data = copy.deepcopy(GOOD)
    data.update(changes)
    return {key: value for key, value in data.items() if value is not None}


def with_key(dotted: str, value: Any) -> dict[str, Any]:
    """A good manifest with one key set; a mount point may be the last part but one."""
    data = good()
    *above, last = dotted.split(".")
    at = data
    for key in above:
        at = at.setdefault(key, {})
    at[last] = value
    return data


def check_data(folder: Path, data: Any, **settings: Any) -> Checked:
    """Check data as a JSON file in this folder."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return check(path, **settings)


def check_yaml(folder: Path, text: str, **settings: Any) -> Checked:
    """Check a YAML text as a file in this folder."""
    path = folder / "manifest.yml"
    path.write_text(text, encoding="utf-8")
    return check(path, **settings)


def accepted(checked: Checked) -> dict[str, Any]:
    """The canonical form of what must be right."""
    assert not checked.errors, [str(error) for error in checked.errors]
    assert checked.manifest is not None
    return checked.manifest.to_dict()


def error_at(checked: Checked, path: str) -> Problem:
    """The one error at this path."""
    found = [error for error in checked.errors if error.path == path]
    assert len(found) == 1, [str(error) for error in checked.errors]
    assert checked.manifest is None
    return found[0]
