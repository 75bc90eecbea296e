# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of the builder copied into the tree, entry by entry.

What it meets keeps its place: a folder that is there keeps mode and owner, a link to a folder is followed as the tree
sees it, and nothing is ever written through a link of the tree. Links are copied as they are.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import DebfleetError
from .request import Tree

KINDS = (stat.S_ISDIR, stat.S_ISREG, stat.S_ISLNK)
CREATING = 0o700  # until the owner is set


@dataclass(frozen=True)
class Entry:
    """A path below the source: where it lies on the builder, where in the image, and its own mode."""

    source: Path
    inside: str
    mode: int


@dataclass(frozen=True)
class Ownership:
    """Numbers of the owner and group, and the mode, which None leaves as the source has it.

    :param named: whether it is asked for of this very entry: then it holds for a folder that is there, too.
    """

    owner: int
    group: int
    mode: int | None = None
    named: bool = False


def entries(source: Path, inside: str) -> Iterator[Entry]:
    """All below a folder, folders before what they hold, sorted. Raises DebfleetError for what is no file, folder or
    link: a device, a socket, a pipe.
    """
    for child in sorted(source.iterdir()):
        mode = child.lstat().st_mode
        path = f"{inside.rstrip('/')}/{child.name}"
        if not any(is_kind(mode) for is_kind in KINDS):
            raise DebfleetError(f"{child} is no file, folder or link, and can't be copied")
        yield Entry(child, path, mode)
        if stat.S_ISDIR(mode):
            yield from entries(child, path)


def check(tree: Tree, listed: list[Entry]) -> None:
    """Raise DebfleetError where the image has a folder in a file's place, or another way round."""
    for entry in listed:
        there = tree.path(entry.inside)
        if not os.path.lexists(there):
            continue
        if stat.S_ISDIR(entry.mode) and folder(tree, entry.inside) is None:
            raise DebfleetError(f"{entry.source} is a folder, and {entry.inside} of the image is not")
        if not stat.S_ISDIR(entry.mode) and stat.S_ISDIR(there.lstat().st_mode):
            raise DebfleetError(f"{entry.inside} of the image is a folder, and {entry.source} is not")


def copy(tree: Tree, entry: Entry, wanted: Ownership) -> None:
    """Copy one entry; what it holds, if it is a folder, are entries of their own."""
    path = tree.path(entry.inside)
    if stat.S_ISDIR(entry.mode):
        there = folder(tree, entry.inside)
        if there is not None and not wanted.named:
            return
        path = there or path
        if there is None:
            path.mkdir(CREATING)
    elif stat.S_ISLNK(entry.mode):
        path.unlink(missing_ok=True)
        path.symlink_to(entry.source.readlink())
        os.chown(path, wanted.owner, wanted.group, follow_symlinks=False)
        return
    else:
        path.unlink(missing_ok=True)  # never into a file that has another name, or through a link
        shutil.copyfile(entry.source, path)
        shutil.copystat(entry.source, path)
    kept = path if stat.S_ISDIR(entry.mode) and there is not None else entry.source
    mode = stat.S_IMODE(kept.stat().st_mode)
    os.chown(path, wanted.owner, wanted.group)
    path.chmod(mode if wanted.mode is None else wanted.mode)  # chown takes set-user-ID away


def folder(tree: Tree, inside: str) -> Path | None:
    """The folder that a path of the tree is or leads to, links followed as the tree sees them; None when it is none."""
    path = tree.path(f"{inside}/x").parent  # parents are resolved, the last part is not
    return path if path.is_dir() and not path.is_symlink() else None
