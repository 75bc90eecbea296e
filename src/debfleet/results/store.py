# SPDX-License-Identifier: GPL-3.0-or-later
"""What every store of results does. tests/integration/store_suite.py holds any of them to it.

A store holds files by keys, names with slashes between them. A file is written whole or not at all; who sees it, sees
all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from debfleet.common.errors import DebfleetError

Content = bytes | Path
MOST = 64 << 20  # bytes of what is read into memory


class StoreDownError(DebfleetError):
    """The store can't take anything now: it isn't reached, or is full. What was to be written is worth a later try."""


class AbsentError(DebfleetError):
    """There is no such file."""

    def __init__(self, where: str) -> None:
        super().__init__("there is no such file in the store", where=where)


@dataclass(frozen=True)
class Entry:
    """A file of a store: its key and bytes."""

    key: str
    size: int


class Store(Protocol):
    """A store. All raise StoreDownError where it isn't reached, and DebfleetError where it refuses."""

    @property
    def address(self) -> str:
        """As it was named, without secrets."""

    @property
    def sure(self) -> bool:
        """Whether `put_new` holds also for two long writes at once. If not, it does for short ones (64 KiB)."""

    def put(self, key: str, content: Content) -> None:
        """Write a file, in place of one that is there."""

    def put_new(self, key: str, content: Content) -> bool:
        """Write a file that isn't there yet; False, and nothing is changed, when it is. One of several writers wins."""

    def get(self, key: str) -> bytes:
        """A small file. Raises AbsentError, and DebfleetError beyond 64 MiB."""

    def open(self, key: str) -> AbstractContextManager[IO[bytes]]:
        """A file, to be read in pieces. Raises AbsentError."""

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""

    def files(self, prefix: str = "") -> Iterator[Entry]:
        """The files below a folder (`first/rebuild/`, with its slash), sorted by key."""

    def folders(self, prefix: str = "") -> list[str]:
        """The names of the folders in a folder, sorted."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete files; those that are gone are passed over."""
