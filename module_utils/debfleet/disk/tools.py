# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ways of making a filesystem have in common."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

from .shape import LayoutError, Partition

MTOOLS = {"MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": os.devnull, "TZ": "UTC"}


def read_at(disk: Path, offset: int, size: int) -> bytes:
    """Bytes of a disk's file; fewer at its end."""
    with disk.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def at(disk: Path, part: Partition) -> str:
    """A partition as mtools names it."""
    return f"{disk}@@{part.start}"


def uuid_text(raw: bytes) -> str:
    """16 bytes as a UUID is written."""
    return str(uuid.UUID(bytes=raw))


def version(text: str) -> tuple[int, int]:
    """The version that a program tells, its first two numbers; (0, 0) where it tells none."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def command(part: Partition, file: Path) -> list[str]:
    """The manifest's format_command with its placeholders filled in.

    They are {fs}, {device_path} (a file of the partition's size), {size} (bytes), {uuid} (vfat's without its dash) and
    {label}. Raises LayoutError for any other.
    """
    values = {
        "fs": part.filesystem,
        "device_path": file,
        "size": part.size,
        "uuid": part.uuid.replace("-", "") if part.filesystem == "vfat" else part.uuid,
        "label": part.label,
    }
    asked = part.format_command or ()
    words = [re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), word) for word in asked]
    for word, filled in zip(asked, words, strict=True):
        if "{" in filled or "}" in filled:
            raise LayoutError(
                f"the format_command of {part.name} has an unknown placeholder",
                where=f"volume.partitions.{part.name}.format_command",
                why=word,
                hint="allowed are {" + "}, {".join(values) + "}",
            )
    return words


def require_uuid(found: str | None, part: Partition) -> None:
    """Raise LayoutError where a format_command made another filesystem than the fstab names."""
    if found != part.uuid:
        raise LayoutError(
            f"the format_command of {part.name} made {found or 'no ' + (part.filesystem or '')}, not {part.uuid}",
            where=f"volume.partitions.{part.name}.format_command",
            hint="give it the UUID by {uuid}",
        )
