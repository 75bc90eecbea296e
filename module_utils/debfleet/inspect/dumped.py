# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of an ext filesystem written out, for a user who can't mount it: by debugfs, then held against its lists.

debugfs writes content, owners and times. Set-user-ID, set-group-ID and sticky bits, pipes, sockets and extended
attributes are lost on the way: they are added from the filesystem's own lists. Device nodes can't be made: what is
missing is said.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import DebfleetError
from ..run import run
from .subject import Filesystem

ROOT_INODE = 2
ASKED = re.compile(r"debugfs: +(?:ls -p|ea_list|ea_get -x) <(\d+)>.*")
ATTRIBUTE = re.compile(r" +(\S+) \(\d+\)(?: = .*)?")  # of ea_list
VALUE = re.compile(r"(\S+) \(\d+\) = ((?:[0-9a-f]{2} )*)")  # of ea_get -x
LISTED = re.compile(r"/(\d+)/(\d+)/(\d+)/(\d+)/(.*)/(\d*)/")
ASK = 'exec debugfs -f - "$1" > "$2"'
BANNER = re.compile(r"debugfs \d")


@dataclass(frozen=True)
class Listed:
    """A file as its folder's list has it: path from the top, inode, type and mode bits, owner and group."""

    path: str
    inode: int
    mode: int
    uid: int
    gid: int


def write_out(raw: Path, found: Filesystem, into: Path) -> list[str]:
    """Write all files of the filesystem into an empty folder. Returns what of it could not be, in words.

    Raises DebfleetError where debugfs can't read it.
    """
    image = f"{raw}?offset={found.start}"
    unread = _complaints(run(["debugfs", "-R", f'rdump / "{into}"', image]).stderr)
    devices = 0
    inodes: dict[int, Path] = {}
    for one in listed(image):
        place = into / one.path
        kind = stat.S_IFMT(one.mode)
        if kind in (stat.S_IFIFO, stat.S_IFSOCK):
            os.mknod(place, one.mode)
            os.chown(place, one.uid, one.gid, follow_symlinks=False)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            devices += 1
            continue
        try:
            there = place.lstat()
        except OSError as error:
            unread.append(f"/{one.path}: {error.strerror}")
            continue
        if (there.st_uid, there.st_gid) != (one.uid, one.gid):
            unread.append(f"/{one.path}: its owner {one.uid}:{one.gid} is not known here")
        if there.st_mode != one.mode and kind != stat.S_IFLNK:
            place.chmod(stat.S_IMODE(one.mode))
        if kind != stat.S_IFLNK:
            inodes.setdefault(one.inode, place)
    for inode, name, value in attributes(image, inodes):
        try:
            os.setxattr(inodes[inode], name, value)
        except OSError as error:
            unread.append(f"/{inodes[inode].relative_to(into)}: its {name}: {error.strerror}")
    if devices:
        unread.append(f"{devices} device nodes: only root can look at them")
    return unread


def listed(image: str) -> Iterator[Listed]:
    """Every file of the filesystem, as its folders list them, the top folder first."""
    folders = {ROOT_INODE: ""}
    while folders:
        deeper: dict[int, str] = {}
        for inode, line in _asked(image, [f"ls -p <{inode}>" for inode in folders]):
            folder = folders[inode]
            if not (match := LISTED.fullmatch(line.strip())):
                raise _unreadable(image, line)
            name = match[5]
            if name == ".." or (name == "." and folder):
                continue
            path = "" if name == "." else f"{folder}{name}"
            one = Listed(path, int(match[1]), int(match[2], 8), int(match[3]), int(match[4]))
            if not one.inode:
                continue
            yield one
            if stat.S_ISDIR(one.mode) and path:
                deeper[one.inode] = f"{path}/"
        folders = deeper


def attributes(image: str, inodes: Iterable[int]) -> Iterator[tuple[int, str, bytes]]:
    """The extended attributes of these inodes: inode, name and value."""
    found = []
    for inode, line in _asked(image, [f"ea_list <{inode}>" for inode in inodes]):
        if match := ATTRIBUTE.fullmatch(line):
            found.append((inode, match[1]))
        elif line != "Extended attributes:":
            raise _unreadable(image, line)
    for inode, line in _asked(image, [f"ea_get -x <{inode}> {name}" for inode, name in found]):
        if not (match := VALUE.fullmatch(line)):
            raise _unreadable(image, line)
        yield inode, match[1], bytes.fromhex(match[2])


def _asked(image: str, questions: Iterable[str]) -> Iterator[tuple[int, str]]:
    """What debugfs answers, line by line, each with the inode that it was asked for."""
    words = "".join(f"{question}\n" for question in questions)
    with tempfile.NamedTemporaryFile(mode="r", encoding="utf-8", errors="surrogateescape") as answers:
        # to a file: all names of the filesystem would be too much for the log
        done = run(["sh", "-c", ASK, "sh", image, answers.name], shown=["debugfs", "-f", "-", image], stdin=words)
        if complaints := _complaints(done.stderr):
            raise _unreadable(image, "\n".join(complaints))
        inode = 0
        for line in answers:
            if match := ASKED.fullmatch(line.rstrip("\n")):
                inode = int(match[1])
            elif line.strip():
                yield inode, line.rstrip("\n")


def _unreadable(image: str, why: str) -> DebfleetError:
    return DebfleetError("could not list the files of an ext filesystem", where=image, why=why)


def _complaints(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not BANNER.match(line)]
