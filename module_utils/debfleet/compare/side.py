# SPDX-License-Identifier: GPL-3.0-or-later
"""One of the two images that are compared, opened for reading."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DebfleetError
from ..folder.packages import INSTALLED, STATUS, stanzas
from ..folder.publish import METADATA
from ..inspect import reader
from ..inspect.disk import find_image
from ..inspect.host import Host
from ..inspect.reader import LENIENT
from ..inspect.root import Entry, Root
from ..inspect.subject import Filesystem
from ..run import run

FAT = "ESP"  # what the paths of files in FAT filesystems begin with, as in ESP:/EFI/BOOT


@dataclass(frozen=True)
class Side:
    """An image: its trees by prefix (the root's is empty), its filesystems, and what its build has told of it.

    :param image: the image's file; None for a plain tree.
    :param virtual: bytes of the disk as a guest sees it.
    :param told: the JSON objects that lie beside the image: metadata, manifest and proof, empty where there is none.
    :param unread: what of the image could not be read, in words.
    """

    path: Path
    image: Path | None
    virtual: int
    trees: Mapping[str, Root]
    filesystems: tuple[Filesystem, ...]
    told: Mapping[str, dict[str, Any]]
    unread: tuple[str, ...]

    def entries(self) -> dict[str, Entry]:
        """Every file, by its path; those of a FAT filesystem with its prefix."""
        found = {f"{prefix}{one.path}": one for prefix, root in self.trees.items() for one in root.entries}
        unread = [f"{prefix}{what}" for prefix, root in self.trees.items() for what in root.unread]
        if unread:
            raise DebfleetError(f"{self.path} can't be read", why="\n".join(unread))
        return found

    def packages(self) -> dict[str, str]:
        """The version of each installed package, by name and architecture."""
        fields = stanzas(self.trees[""].text(f"/{STATUS}") or "")
        return {
            f"{one['Package']}:{one.get('Architecture', '')}": one.get("Version", "")
            for one in fields
            if one.get("Status", "").split()[2:] == [INSTALLED]
        }


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Side]:
    """Open an image: a build's folder, an image file of any format, or a root tree.

    Raises DebfleetError where there is no image or no system in it, MissingError where a tool or a right is missing.
    """
    tree = reader.is_tree(path)
    image = None if tree else find_image(path)
    with reader.opened(path, None, Host(), None) as subject:
        if not subject.has_root:
            raise DebfleetError("there is no system in this image", where=str(path), why="\n".join(subject.unread))
        trees = {"": subject.root}
        for one in subject.filesystems:
            if one.kind == "vfat" and subject.raw and subject.scratch:
                copy = subject.scratch / f"fat{one.number}"
                copy.mkdir()
                place = f"{subject.raw}@@{one.start}"
                run(["mcopy", "-s", "-n", "-p", "-m", "-i", place, "::*", copy], env=LENIENT, check=False)
                trees[f"{FAT}{'' if FAT not in ''.join(trees) else one.number}:"] = Root(copy)
        virtual = subject.raw.stat().st_size if subject.raw else 0
        yield Side(path, image, virtual, trees, tuple(subject.filesystems), _told(image), tuple(subject.unread))


def _told(image: Path | None) -> dict[str, dict[str, Any]]:
    """What lies beside an image; nothing where its metadata speaks of another file."""
    told: dict[str, dict[str, Any]] = {"metadata": {}, "manifest": {}, "proof": {}}
    if image is None:
        return told
    for name in told:
        file = image.parent / (METADATA if name == "metadata" else f"{name}.json")
        try:
            read = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except ValueError as error:
            raise DebfleetError("could not read what lies beside the image", where=str(file), why=str(error)) from error
        told[name] = read if isinstance(read, dict) else {}
    return told if told["metadata"].get("file", image.name) == image.name else {name: {} for name in told}
