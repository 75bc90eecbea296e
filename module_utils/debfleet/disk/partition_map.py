# SPDX-License-Identifier: GPL-3.0-or-later
"""The partition map of a disk in a file, written and read by sfdisk; the kernel is not asked to look at it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..run import run
from .shape import PRIMARIES, SECTOR, Layout

EXTENDED = "5"
LABELS = {"msdos": "dos", "gpt": "gpt"}


def script(layout: Layout) -> str:
    """What sfdisk reads to write the map. Raises ValueError for a layout without one."""
    if layout.map not in LABELS:
        raise ValueError("a layout without a partition map has no script")
    lines = [f"label: {LABELS[layout.map]}", f"label-id: {layout.disk_uuid}", "unit: sectors", "sector-size: 512", ""]
    active = _active(layout)
    for part in layout.partitions:
        if layout.extended and part.number == PRIMARIES + 2:
            start, size = layout.extended
            lines.append(f"start={start // SECTOR}, size={size // SECTOR}, type={EXTENDED}")
        fields = [f"start={part.start // SECTOR}", f"size={part.size // SECTOR}", f"type={part.type}"]
        if layout.map == "gpt":
            fields += [f"uuid={part.partuuid}", f'name="{part.name}"']
        if part.number == active:
            fields.append("bootable")
        lines.append(", ".join(fields))
    return "\n".join(lines) + "\n"


def _active(layout: Layout) -> int:
    """The partition of an MBR that is marked as bootable, which some BIOSes ask for: a primary one; 0 for none."""
    if layout.map != "msdos":
        return 0
    return layout.boot.number if layout.boot.number <= PRIMARIES + 1 else layout.partitions[0].number


def write(disk: Path, layout: Layout) -> None:
    """Write the map into the disk's file; nothing where the layout has none. Raises CommandError."""
    if layout.map != "none":
        run(["sfdisk", "--quiet", "--wipe", "always", "--no-reread", "--no-tell-kernel", disk], stdin=script(layout))


def read(disk: Path) -> dict[str, Any] | None:
    """The map in a disk's file as sfdisk tells it in JSON (`partitiontable`); None where there is none."""
    done = run(["sfdisk", "--json", disk], check=False)
    if done.returncode != 0:
        return None
    table: dict[str, Any] = json.loads(done.stdout)["partitiontable"]
    return table


def matches(found: dict[str, Any] | None, layout: Layout) -> bool:
    """Whether the map that `read` found is that of the layout."""
    if found is None or layout.map == "none":
        return found is None and layout.map == "none"
    rows = {
        (row["start"] * SECTOR, row["size"] * SECTOR, row["type"].lower())
        for row in found.get("partitions", [])
        if not (layout.map == "msdos" and row["type"] in ("5", "f"))
    }
    wanted = {(part.start, part.size, part.type.lower()) for part in layout.partitions}
    same_id = found["id"].lower() == layout.disk_uuid.lower()
    return same_id and found["label"] == LABELS[layout.map] and rows == wanted
