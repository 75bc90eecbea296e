# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing the files of two images: type, mode, owner, content, link, device, extended attributes, hard links.

Times are not compared. A size and a time prove nothing, so files of one size are read, on every core.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..inspect.root import Entry
from .side import Side

PIECE = 1 << 20  # bytes read at once
PACKET = 500  # files that a process is handed at once
FEW = 2000  # files that are not worth a second process
KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
}

Change = dict[str, list[Any]]  # what differs (mode, owner …) to its value in both images


@dataclass(frozen=True)
class Files:
    """The files that only one of the images has, and those that differ."""

    added: list[str]
    removed: list[str]
    changed: dict[str, Change]


@dataclass(frozen=True)
class _Pair:
    """Both images, as the processes that compare see them."""

    a: Mapping[str, Entry]
    b: Mapping[str, Entry]
    tops: tuple[Mapping[str, str], Mapping[str, str]]  # where each tree lies, by prefix
    links: tuple[Mapping[str, list[str]], Mapping[str, list[str]]]


_pair: _Pair | None = None  # what forked processes inherit: handing them 60,000 files would take longer than comparing


def compare(a: Side, b: Side, entries_a: Mapping[str, Entry], entries_b: Mapping[str, Entry]) -> Files:
    """Compare all files of two images. Raises OSError where one can't be read."""
    global _pair
    both = sorted(entries_a.keys() & entries_b.keys())
    packets = [both[n : n + PACKET] for n in range(0, len(both), PACKET)]
    tops = tuple({prefix: str(root.top) for prefix, root in side.trees.items()} for side in (a, b))
    _pair = _Pair(entries_a, entries_b, (tops[0], tops[1]), (hard_links(entries_a), hard_links(entries_b)))
    try:
        cores = len(os.sched_getaffinity(0))
        if len(both) < FEW or cores == 1:
            found = [_changes(packet) for packet in packets]
        else:
            with multiprocessing.get_context("fork").Pool(min(cores, len(packets)), _begin) as pool:
                found = list(pool.imap(_changes, packets))
    finally:
        _pair = None
    changed = {path: change for packet in found for path, change in packet}
    return Files(sorted(entries_b.keys() - entries_a.keys()), sorted(entries_a.keys() - entries_b.keys()), changed)


def hard_links(entries: Mapping[str, Entry]) -> dict[str, list[str]]:
    """For each file with several names, its other names."""
    names: dict[tuple[int, int], list[str]] = {}
    for path, entry in entries.items():
        if entry.is_file() and entry.stat.st_nlink > 1:
            names.setdefault((entry.stat.st_dev, entry.stat.st_ino), []).append(path)
    return {path: [other for other in group if other != path] for group in names.values() for path in group}


def _begin() -> None:
    """A process of the pool ends when it is told to, and leaves what keys mean to the first of us."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _changes(paths: Sequence[str]) -> list[tuple[str, Change]]:
    assert _pair is not None
    found = []
    for path in paths:
        if change := _change(_pair, path):
            found.append((path, change))
    return found


def _change(pair: _Pair, path: str) -> Change:
    a, b = pair.a[path], pair.b[path]
    kinds = [KINDS.get(stat.S_IFMT(one.stat.st_mode), "unknown") for one in (a, b)]
    if kinds[0] != kinds[1]:
        return {"type": kinds}
    change: Change = {}
    prefix = path[: len(path) - len(a.path)]
    where_a, where_b = (f"{top[prefix]}{a.path}" for top in pair.tops)
    if a.mode != b.mode and not a.is_link():
        change["mode"] = [f"{a.mode:04o}", f"{b.mode:04o}"]
    owners = [f"{one.stat.st_uid}:{one.stat.st_gid}" for one in (a, b)]
    if owners[0] != owners[1]:
        change["owner"] = owners
    if a.is_file():
        sizes = [a.stat.st_size, b.stat.st_size]
        if sizes[0] != sizes[1] or (sizes[0] and not same_content(where_a, where_b)):
            change["content"] = sizes
        names = [pair.links[0].get(path, []), pair.links[1].get(path, [])]
        if names[0] != names[1]:
            change["links"] = names
    elif a.is_link():
        targets = [os.readlink(where_a), os.readlink(where_b)]  # noqa: PTH115 - Path would clean the text up
        if targets[0] != targets[1]:
            change["target"] = targets
    elif a.stat.st_rdev != b.stat.st_rdev:
        change["device"] = [f"{os.major(one.stat.st_rdev)}:{os.minor(one.stat.st_rdev)}" for one in (a, b)]
    attributes = [xattrs(where_a), xattrs(where_b)]
    if attributes[0] != attributes[1]:
        change["xattrs"] = attributes
    return change


def same_content(a: str, b: str) -> bool:
    """Whether two files of one size have the same bytes."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd_a = os.open(a, flags)
    try:
        fd_b = os.open(b, flags)
        try:
            while True:
                piece = os.read(fd_a, PIECE)
                if piece != os.read(fd_b, PIECE):
                    return False
                if not piece:
                    return True
        finally:
            os.close(fd_b)
    finally:
        os.close(fd_a)


def xattrs(path: str) -> dict[str, str]:
    """The extended attributes of a file, ACLs and capabilities among them; their values in hexadecimal."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:  # a filesystem that has none
        return {}
    return {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in sorted(names)}


def folder_sizes(entries: Iterable[Entry], depth: int = 2) -> dict[str, int]:
    """Bytes of the files below each folder, to this depth; a file with several names counts once."""
    sizes: dict[str, int] = {}
    seen: set[tuple[int, int]] = set()
    for entry in entries:
        if not entry.is_file() or (entry.stat.st_dev, entry.stat.st_ino) in seen:
            continue
        if entry.stat.st_nlink > 1:
            seen.add((entry.stat.st_dev, entry.stat.st_ino))
        folder = "/".join(entry.path.split("/")[:-1][: depth + 1]) or "/"
        sizes[folder] = sizes.get(folder, 0) + entry.stat.st_size
    return sizes
