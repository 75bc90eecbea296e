# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of an ext filesystem written out, for a user who can't mount it: by debugfs, then held against its lists.

debugfs writes content, owners and times. Set-user-ID, set-group-ID and sticky bits are lost on the way, pipes and
sockets too: they are added from the filesystem's own lists of its folders. Device nodes can't be made, and extended
attributes are not written: what is missing is said.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import DebfleetError
from ..run import run
from .subject import Filesystem

ROOT_INODE = 2
ASKED = re.compile(r"debugfs: +ls -p <(\d+)>")
LISTED = re.compile(r"/(\d+)/(\d+)/(\d+)/(\d+)/(.*)/(\d*)/")
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
    """Write all files of the filesystem into a folder. Returns what of it could not be, in words.

    Raises DebfleetError where debugfs can't read it.
    """
    image = f"{raw}?offset={found.start}"
    into.mkdir(mode=0o700)
    unread = _complaints(run(["debugfs", "-R", f'rdump / "{into}"', image]).stderr)
    devices = 0
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
    if devices:
        unread.append(f"{devices} device nodes: only root can look at them")
    return unread


def listed(image: str) -> Iterator[Listed]:
    """Every file of the filesystem, as its folders list them, the top folder first."""
    folders = {ROOT_INODE: ""}
    while folders:
        deeper: dict[int, str] = {}
        asked = "".join(f"ls -p <{inode}>\n" for inode in folders)
        done = run(["debugfs", "-f", "-", image], stdin=asked)
        if complaints := _complaints(done.stderr):
            raise DebfleetError("could not list the files of an ext filesystem", where=image, why="\n".join(complaints))
        folder = ""
        for line in done.stdout.splitlines():
            if match := ASKED.fullmatch(line.strip()):
                folder = folders[int(match[1])]
                continue
            if not line.strip():
                continue
            if not (match := LISTED.fullmatch(line.strip())):
                raise DebfleetError("could not list the files of an ext filesystem", where=image, why=line)
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


def _complaints(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not BANNER.match(line)]
