# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an image that is there was made of the very same inputs as the one that is to be built."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from debfleet.common.bases.fingerprint import of_parts


def find(build_dir: Path, name: str, inputs: Mapping[str, str]) -> Path | None:
    """The folder of an image of these inputs that is whole: that of this name, else one that has another date in it."""
    key = of_parts(inputs)
    others = sorted(path.parent for path in build_dir.glob("*/metadata.json"))
    for folder in [build_dir / name, *(other for other in others if other.name != name)]:
        known = _metadata(folder)
        if known.get("inputs", {}).get("key") == key and _whole(folder, known):
            return folder
    return None


def why(folder: Path, inputs: Mapping[str, str]) -> list[str]:
    """What has changed since the image in this folder was made, by name; nothing where there is none."""
    before = _metadata(folder).get("inputs", {}).get("parts", {})
    return sorted(name for name in {*before, *inputs} if before.get(name) != inputs.get(name)) if before else []


def proven(folder: Path | None) -> bool:
    """Whether the image in this folder has been booted, with success, as it is."""
    if folder is None:
        return False
    proof = _read(folder / "proof.json")
    checks = [check for boot in [proof, *proof.get("boots", [])] for check in boot.get("checks", [])]
    return bool(checks) and all(one["ok"] for one in checks) and proof.get("sha256") == _metadata(folder).get("sha256")


def _metadata(folder: Path) -> dict[str, Any]:
    return _read(folder / "metadata.json")


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _whole(folder: Path, metadata: Mapping[str, Any]) -> bool:
    """Whether the image's file is as it was published: of that size, and not written since."""
    try:
        image, told = (folder / metadata["file"]).stat(), (folder / "metadata.json").stat()
    except (OSError, KeyError):
        return False
    return bool(image.st_size == metadata["sizes"]["file"] and image.st_mtime <= told.st_mtime)
