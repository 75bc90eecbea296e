# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing two images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..folder.metadata import sha256
from . import content, files
from .difference import Difference, Facts
from .side import Side, opened

GONE = object()


def compare(path_a: Path, path_b: Path, *, into: bool = False) -> Difference:
    """Compare two images, each a build's folder, an image file of any format, or a root tree.

    :param into: look into the files that differ, by diffoscope.

    Raises DebfleetError where one can't be opened or read, MissingError where a tool or a right is missing.
    """
    with opened(path_a) as a, opened(path_b) as b:
        entries_a, entries_b = a.entries(), b.entries()
        packages_a, packages_b = a.packages(), b.packages()
        found = files.compare(a, b, entries_a, entries_b)
        folders_a, folders_b = files.folder_sizes(entries_a.values()), files.folder_sizes(entries_b.values())
        return Difference(
            a=_facts(a, sum(folders_a.values())),
            b=_facts(b, sum(folders_b.values())),
            packages=table(packages_a, packages_b),
            folders=table(folders_a, folders_b),
            added=found.added,
            removed=found.removed,
            changed=found.changed,
            layout=table(dict(_layout(a)), dict(_layout(b))),
            manifest=table(dict(flat(a.told["manifest"])), dict(flat(b.told["manifest"])))
            if a.told["manifest"] and b.told["manifest"]
            else {},
            content=content.summary(a, b, entries_a, entries_b, found) if into else None,
            unread=[f"{side.path}: {what}" for side in (a, b) for what in side.unread],
        )


def table(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What differs: the value in both, None where one has none. In the order of the keys."""
    keys = sorted(a.keys() | b.keys())
    return {key: [a.get(key), b.get(key)] for key in keys if a.get(key, GONE) != b.get(key, GONE)}


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting of a manifest by its dotted path; lists as they are."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from flat(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _layout(side: Side) -> Iterator[tuple[str, Any]]:
    for one in side.filesystems:
        where = f"partition {one.number}" if one.number else "the whole disk"
        for name, value in asdict(one).items():
            if name != "number" and value not in ("", 0):
                yield f"{where}: {name}", value


def _facts(side: Side, tree: int) -> Facts:
    metadata, image = side.told["metadata"], side.image
    stat = image.stat() if image else None
    boots = side.told["proof"].get("boots") or []
    digest = metadata.get("sha256") or (sha256(image) if image else "")
    proven = side.told["proof"].get("sha256") == digest
    return Facts(
        path=str(side.path),
        sha256=str(digest),
        file=stat.st_size if stat else 0,
        allocated=stat.st_blocks * 512 if stat else 0,
        virtual=side.virtual,
        tree=tree,
        boots={str(one["firmware"]): dict(one) for one in boots} if proven else {},
        build={
            key: metadata[key] for key in ("name", "release", "architecture", "built", "debfleet") if key in metadata
        },
    )
