# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a manifest names: relative to its folder, there, and of the right kind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .formats import PATH
from .names import put
from .problems import Keys, Positions, Problem, Sealed
from .schema import Schema, walk
from .validate import close


def absolute(text: str, folder: Path) -> Path:
    """A path of the manifest, from the folder that the manifest lies in."""
    return Path(os.path.normpath(folder / Path(text).expanduser()))


def trouble(path: Path, kind: str) -> str:
    """What is wrong with a file, in words, or nothing."""
    try:
        if kind == "folder":
            return "" if path.is_dir() else "is no folder" if path.exists() else "is not there"
        if kind == "any":
            return "" if path.exists() else "is not there"
        if not path.exists():
            return "is not there"
        if not path.is_file():
            return "is no file"
        return "" if os.access(path, os.R_OK) else "can't be read"
    except (OSError, ValueError) as error:
        return f"can't be looked at: {getattr(error, 'strerror', None) or error}"


def resolve(data: dict[str, Any], schema: Schema, positions: Positions, bad: set[Keys]) -> list[Problem]:
    """Make every path absolute, in place; one that leads nowhere is an error."""
    problems: list[Problem] = []
    for keys, value, part in list(walk(schema, data)):
        kind = part.get("x-file")
        if not kind or not isinstance(value, str) or isinstance(value, Sealed) or keys in bad:
            continue
        if kind == "deb":
            if not PATH.match(value):
                continue
            kind = "file"
        folder = positions.folder(keys)
        try:
            path = absolute(value, folder)
        except (RuntimeError, ValueError) as error:
            problems.append(positions.problem(keys, str(error), value=value))
            continue
        if kind != "scratch" and (said := trouble(path, kind)):
            near = [other.name for other in _siblings(path)]
            hint = close(path.name, near) or f"paths are relative to {folder}"
            problems.append(positions.problem(keys, f"{path} {said}", value=value, hint=hint))
        put(data, keys, str(path))
    return problems


def named(data: Mapping[str, Any], schema: Schema) -> list[Path]:
    """The files and folders of the builder that a resolved manifest names: what they hold shapes the image.

    Where the schema says `x-beside`, what lies beside the file does too, as roles beside a playbook.
    """
    found = []
    for _, value, part in walk(schema, data):
        kind = part.get("x-file")
        if kind in (None, "scratch") or not isinstance(value, str) or (kind == "deb" and not PATH.match(value)):
            continue
        found.append(Path(value).parent if part.get("x-beside") else Path(value))
    return found


def _siblings(path: Path) -> list[Path]:
    try:
        return sorted(path.parent.iterdir())[:500]
    except OSError:
        return []
