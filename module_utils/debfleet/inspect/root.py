# SPDX-License-Identifier: GPL-3.0-or-later
"""A root tree, read only, as the image itself would see it: symbolic links never lead out of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

LINKS = 40  # as many symbolic links as the kernel follows
TEXT = 16 * 1024**2  # bytes of a file that are read at most


@dataclass(frozen=True)
class Entry:
    """A file of the tree: its path in the image, and its lstat."""

    path: str
    stat: os.stat_result

    @property
    def mode(self) -> int:
        """Permission bits with setuid, setgid and sticky."""
        return stat.S_IMODE(self.stat.st_mode)

    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.stat.st_mode)

    def is_folder(self) -> bool:
        """Whether it is a folder (a link to one is not)."""
        return stat.S_ISDIR(self.stat.st_mode)

    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.stat.st_mode)


class Root:
    """The tree below `top`. Paths are the image's own, beginning with a slash.

    What can't be read raises OSError, apart from `entries`, which goes on and lists it in `unread`.
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        self.unread: list[str] = []

    def locate(self, path: str, *, follow: bool = True) -> Path | None:
        """Where a path of the image lies on the host, links followed inside the tree; None where there is none.

        :param follow: follow the last part too, where it is a link.
        """
        parts = [part for part in path.split("/") if part]
        done: list[str] = []
        links = 0
        while parts:
            part = parts.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                done = done[:-1]
                continue
            here = self.top.joinpath(*done, part)
            try:
                mode = here.lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                return None
            if stat.S_ISLNK(mode) and (parts or follow):
                links += 1
                if links > LINKS:
                    return None
                target = str(here.readlink())
                done = [] if target.startswith("/") else done
                parts = target.split("/") + parts
                continue
            done.append(part)
        return self.top.joinpath(*done)

    def entry(self, path: str, *, follow: bool = False) -> Entry | None:
        """The file at a path, or None."""
        where = self.locate(path, follow=follow)
        return Entry(path, where.lstat()) if where else None

    def exists(self, path: str) -> bool:
        """Whether there is anything at a path, a dangling link too."""
        return self.locate(path, follow=False) is not None

    def link(self, path: str) -> str | None:
        """Where a symbolic link points; None where the path is none."""
        entry = self.entry(path)
        where = self.locate(path, follow=False)
        return str(where.readlink()) if entry and where and entry.is_link() else None

    def text(self, path: str) -> str | None:
        """The text of a regular file (or of one a link leads to); None where there is none. At most 16 MiB of it."""
        where = self.locate(path)
        if where is None or not stat.S_ISREG(where.lstat().st_mode):
            return None
        with where.open("rb") as file:
            return file.read(TEXT).decode("utf-8", "surrogateescape")

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; none where there is no folder."""
        where = self.locate(folder)
        if where is None or not where.is_dir():
            return []
        return sorted(item.name for item in where.iterdir())

    def glob(self, *patterns: str) -> list[str]:
        """The paths that match any of the patterns (`*` and `?` within a name), sorted."""
        found = set()
        for pattern in patterns:
            heads = [""]
            for part in pattern.strip("/").split("/"):
                if any(c in part for c in "*?["):
                    heads = [f"{head}/{n}" for head in heads for n in self.names(head or "/") if fnmatchcase(n, part)]
                else:
                    heads = [f"{head}/{part}" for head in heads if self.exists(f"{head}/{part}")]
            found.update(heads)
        return sorted(found)

    def below(self, *folders: str) -> Iterator[Entry]:
        """Everything below these folders, in order of path."""
        for folder in folders:
            for name in self.names(folder):
                if entry := self.entry(f"{folder.rstrip('/')}/{name}"):
                    yield entry
                    if entry.is_folder():
                        yield from self.below(entry.path)

    @cached_property
    def entries(self) -> list[Entry]:
        """Every file of the tree, the top folder first."""
        found = [Entry("/", self.top.lstat())]
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self.top / folder.lstrip("/")) as scan:
                    for item in scan:
                        entry = Entry(f"{folder}/{item.name}", item.stat(follow_symlinks=False))
                        found.append(entry)
                        folders += [entry.path] if entry.is_folder() else []
            except OSError as error:
                self.unread.append(f"{folder}: {error.strerror}")
        return sorted(found, key=lambda entry: entry.path)
