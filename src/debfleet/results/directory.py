# SPDX-License-Identifier: GPL-3.0-or-later
"""A store in a folder, for any number of processes; over a network too, where the file system has hard links.

A file is written under a name of its own below `.new/`, synced, and then linked to its key, which fails where another
one is: so it is there whole, or not at all, and one of several writers wins.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from debfleet.common.errors import DebfleetError

from .store import MOST, AbsentError, Content, Entry, StoreDownError

NEW = ".new"
LEFT_SECONDS = 24 * 3600  # after this, what a killed writer left is deleted
DOWN = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT)
TRIES = 20  # while another process deletes the folders that we make


class DirectoryStore:
    """A store in a folder, which is made when it is first written to."""

    sure = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = str(folder)

    def put(self, key: str, content: Content) -> None:
        """Write a file, in place of one that is there."""
        with self._told("write", key), self._written(content) as new:
            self._placed(key, new.replace)

    def put_new(self, key: str, content: Content) -> bool:
        """Write a file that isn't there yet; False, and nothing is changed, when it is."""
        if self.exists(key):
            return False
        with self._told("write", key), self._written(content) as new:
            try:
                self._placed(key, lambda path: os.link(new, path))
            except FileExistsError:
                return False
            return True

    def get(self, key: str) -> bytes:
        """A small file."""
        with self.open(key) as file, self._told("read", key):
            raw = file.read(MOST + 1)
        if len(raw) > MOST:
            raise DebfleetError("a file of the store is too large", where=str(self._path(key)))
        return raw

    def open(self, key: str) -> AbstractContextManager[IO[bytes]]:
        """A file, to be read in pieces."""
        with self._told("read", key):
            try:
                return open(self._path(key), "rb")
            except (FileNotFoundError, NotADirectoryError) as error:
                raise AbsentError(str(self._path(key))) from error

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        return self._path(key).is_file()

    def files(self, prefix: str = "") -> Iterator[Entry]:
        """The files below a folder, sorted by key within each folder."""
        with self._told("list", prefix):
            yield from self._below(self._path(prefix) if prefix else self.folder, prefix)

    def folders(self, prefix: str = "") -> list[str]:
        """The names of the folders in a folder, sorted."""
        with self._told("list", prefix):
            found = self._scanned(self._path(prefix) if prefix else self.folder)
            return [one.name for one in found if one.is_dir() and one.name != NEW]

    def delete(self, keys: Iterable[str]) -> None:
        """Delete files, and the folders that are empty then; also what killed writers left long ago."""
        for key in keys:
            with self._told("delete", key):
                path = self._path(key)
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    while (path := path.parent) != self.folder:
                        path.rmdir()
        for left in self._scanned(self.folder / NEW):
            with contextlib.suppress(OSError):
                if left.stat().st_mtime < time.time() - LEFT_SECONDS:
                    Path(left.path).unlink()

    def _path(self, key: str) -> Path:
        """The file of a key. Raises DebfleetError for one that would lead out of the folder."""
        names = key.rstrip("/").split("/")
        if any(name in ("", ".", "..", NEW) or "\0" in name for name in names):
            raise DebfleetError(f"{key!r} is no key of a store")
        return self.folder.joinpath(*names)

    @contextlib.contextmanager
    def _written(self, content: Content) -> Iterator[Path]:
        """The content in a synced file of its own, which is gone afterwards."""
        folder = self.folder / NEW
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / uuid.uuid4().hex
        try:
            with open(new, "xb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    with open(content, "rb") as source:
                        shutil.copyfileobj(source, file, 1 << 20)
                file.flush()
                os.fsync(file.fileno())
            yield new
        finally:
            new.unlink(missing_ok=True)

    def _placed(self, key: str, place: Callable[[Path], object]) -> None:
        """Make the folders of a key, put its file there, and sync them, also those that somebody else has just made."""
        path = self._path(key)
        for last in (*[False] * (TRIES - 1), True):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                place(path)
                break
            except FileNotFoundError:
                if last:
                    raise
        for folder in path.parents:
            _sync(folder)
            if folder == self.folder:
                break

    def _below(self, folder: Path, prefix: str) -> Iterator[Entry]:
        for one in self._scanned(folder):
            if one.is_dir(follow_symlinks=False):
                if one.name != NEW:
                    yield from self._below(Path(one.path), f"{prefix}{one.name}/")
            else:
                with contextlib.suppress(FileNotFoundError):
                    yield Entry(f"{prefix}{one.name}", one.stat().st_size)

    def _scanned(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                return sorted(found, key=lambda one: one.name)
        except (FileNotFoundError, NotADirectoryError):
            return []

    @contextlib.contextmanager
    def _told(self, what: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = StoreDownError if error.errno in DOWN else DebfleetError
            raise kind(
                f"could not {what} results", where=f"{self.folder}/{key}", why=error.strerror or str(error)
            ) from error


def _sync(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # a folder that somebody deleted in the meantime
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
