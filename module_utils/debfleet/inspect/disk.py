# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk image as a raw file, and what is on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..disk.sparse import extents
from ..errors import DebfleetError
from ..run import CommandError, run
from .subject import Filesystem

PIECE = 1024**2  # bytes read at once
NAMES = "disk.*"  # what a build calls its image
EXTENDED = {"5", "f", "85"}  # MBR types that only hold other partitions
BIOS_GRUB = "21686148-6449-6E6F-744E-656564454649"
PREP = {"41", "9E1A2D38-C612-4316-AA26-8B49521E5A8B"}
NO_FILESYSTEM = EXTENDED | PREP | {BIOS_GRUB}
ESP = {"C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "ef"}


def find_image(path: Path) -> Path:
    """The image that a path means: the file itself, or the `disk.*` in a build's folder."""
    if path.is_dir():
        found = sorted(file for file in path.glob(NAMES) if file.is_file())
        if len(found) != 1:
            raise DebfleetError(
                f"there is {'no' if not found else 'more than one'} image in {path}",
                hint="name the image file itself" if found else "name a folder that a build left, or an image file",
            )
        return found[0]
    if not path.is_file():
        raise DebfleetError(f"{path} is no file", hint="name a folder that a build left, or an image file")
    return path


def as_raw(image: Path, scratch: Path) -> Path:
    """The image itself where it is raw, else a sparse raw copy in the scratch folder.

    Raises DebfleetError where qemu-img can't read it, and where it needs another file to be whole.
    """
    told: dict[str, Any] = json.loads(run(["qemu-img", "info", "--output=json", image]).stdout)
    if told["format"] == "raw":
        return image
    if backing := told.get("backing-filename"):
        hint = "make it whole by qemu-img convert, then look at that"
        raise DebfleetError(f"{image} is only what differs from {backing}", hint=hint)
    copy = scratch / "disk.raw"
    run(["qemu-img", "convert", "-f", told["format"], "-O", "raw", image, copy])
    return copy


def probe(raw: Path, start: int = 0, size: int = 0) -> dict[str, str]:
    """What blkid recognises at a place of the disk, as its variables (TYPE, UUID, PTTYPE …); nothing where nothing is.

    Raises DebfleetError where the signatures contradict each other.
    """
    place = ["--offset", str(start), "--size", str(size)] if size else []
    done = run(["blkid", "--probe", "--output", "export", *place, raw], check=False)
    if done.returncode == 8:
        raise DebfleetError(f"more than one kind of filesystem is recognised at byte {start}")
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in pairs}


def _filesystem(found: dict[str, str], **place: Any) -> Filesystem:
    kind, uuid, label = found.get("TYPE", ""), found.get("UUID", ""), found.get("LABEL", "")
    return Filesystem(kind=kind, uuid=uuid, label=label, **place)


def filesystems(raw: Path) -> tuple[list[Filesystem], list[str]]:
    """What is on the disk, in order, and what could not be read, in words."""
    whole = probe(raw)
    size = raw.stat().st_size
    if "PTTYPE" not in whole or "TYPE" in whole:
        found = _filesystem(whole, number=0, start=0, size=size)
        return [found], []
    try:
        table = json.loads(run(["sfdisk", "--json", raw]).stdout)["partitiontable"]
    except CommandError as error:
        return [], [f"the partition table ({whole['PTTYPE']}): {error.why}"]
    sector = int(table.get("sectorsize", 512))
    disk: list[Filesystem] = []
    unread: list[str] = []
    for number, part in _numbered(table.get("partitions", [])):
        if part["type"] in NO_FILESYSTEM:
            continue
        start, length = part["start"] * sector, part["size"] * sector
        place = {
            "number": number,
            "start": start,
            "size": length,
            "parttype": part["type"],
            "partuuid": part.get("uuid") or f"{table.get('id', '').removeprefix('0x')}-{number:02x}",
            "partlabel": part.get("name", ""),
        }
        if start + length > size:
            unread.append(f"partition {number}: it ends beyond the disk's end")
        try:
            disk.append(_filesystem(probe(raw, start, length), **place))
        except DebfleetError as error:
            disk.append(Filesystem(**place))
            unread.append(f"partition {number}: {error}")
    return disk, unread


def _numbered(partitions: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Each partition with its number, which sfdisk tells at the end of the node's name."""
    numbers = []
    for part in partitions:
        digits = part["node"][len(part["node"].rstrip("0123456789")) :]
        numbers.append(int(digits))
    return list(zip(numbers, partitions, strict=True))


def pieces(raw: Path, found: Filesystem) -> Iterator[tuple[int, bytes]]:
    """The data of a filesystem, piece by piece, each with its place in it; holes are left out."""
    with raw.open("rb", buffering=0) as source:
        for position, stop in extents(source.fileno(), found.start, found.start + found.size):
            source.seek(position)
            while position < stop and (piece := source.read(min(PIECE, stop - position))):
                yield position - found.start, piece
                position += len(piece)


def empty(raw: Path, found: Filesystem) -> bool:
    """Whether there is nothing but zeros."""
    return not any(piece.strip(b"\0") for _, piece in pieces(raw, found))


def cut_out(raw: Path, found: Filesystem, target: Path) -> Path:
    """A filesystem alone in a sparse file of its own, for tools that know no offset."""
    with target.open("wb") as copy:
        copy.truncate(found.size)
        for place, piece in pieces(raw, found):
            copy.seek(place)
            copy.write(piece)
    return target
