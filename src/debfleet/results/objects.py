# SPDX-License-Identifier: GPL-3.0-or-later
"""What stores of objects have in common: keys that are encoded below a prefix, and writing once where that is hard.

"Put this if it is absent" (If-None-Match) is a promise that not all of them keep. OpenStack Swift, by its own protocol
and by S3's, looks when a write begins: of writes that overlap several are taken, and the one that began last stands.
There who has written a result waits until the others have too, looks what stands, and has lost where that isn't his.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from functools import cached_property
from typing import IO, Any, cast

from debfleet.common.errors import DebfleetError, MissingError

from .paths import decoded, encoded
from .store import MOST, Content, Entry

SETTLE_SECONDS = 2.0
TIMEOUT_SECONDS = 30.0
AT_ONCE = 8  # deletions


def missing(package: str, extra: str) -> MissingError:
    """The error that says that a Python package isn't there, and which extra of ours brings it."""
    return MissingError(f"{package} is not installed", hint=f"pip install 'debfleet[{extra}]', or make setup")


class ObjectStore(ABC):
    """A store in a bucket or container. What there is to say to the server, by the names of objects, is its subclass's.

    :param prefix: of all its objects, as `results/`; may be empty.
    :param settle: seconds in which writes that overlap have surely come to their end.
    """

    def __init__(self, address: str, prefix: str, settle: float = SETTLE_SECONDS) -> None:
        self.address, self.settle = address, settle
        self.prefix = f"{encoded(prefix.strip('/'))}/" if prefix.strip("/") else ""

    @cached_property
    def sure(self) -> bool:
        """Whether the server refuses a write that began before another one that it has taken: asked by trying."""
        return self._tried()

    def put(self, key: str, content: Content) -> None:
        """Write a file, in place of one that is there."""
        self._write(self._name(key), content, new=False)

    def put_new(self, key: str, content: Content) -> bool:
        """Write a file that isn't there yet; False when it is."""
        written = not self.exists(key) and self._write(self._name(key), content, new=True)
        if self.sure or not isinstance(content, bytes):
            return written
        time.sleep(self.settle)
        return written and self.get(key) == content

    def get(self, key: str) -> bytes:
        """A small file."""
        with self.open(key) as file:
            raw = file.read(MOST + 1)
        if len(raw) > MOST:
            raise DebfleetError("a file of the store is too large", where=f"{self.address}/{key}")
        return raw

    def open(self, key: str) -> AbstractContextManager[IO[bytes]]:
        """A file, to be read in pieces."""
        return cast(AbstractContextManager[IO[bytes]], closing(self._read(self._name(key))))

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        return self._has(self._name(key))

    def files(self, prefix: str = "") -> Iterator[Entry]:
        """The files below a folder, sorted by their encoded keys."""
        for name, size in self._names(self._name(prefix)):
            yield Entry(decoded(name.removeprefix(self.prefix)), size)

    def folders(self, prefix: str = "") -> list[str]:
        """The names of the folders in a folder, sorted."""
        start = self._name(prefix)
        return sorted(decoded(name.removeprefix(start).rstrip("/")) for name in self._folders(start))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete files; those that are gone are passed over."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._remove, [self._name(key) for key in keys]))

    def _name(self, key: str) -> str:
        return self.prefix + encoded(key)

    def _tried(self) -> bool:
        return False

    @abstractmethod
    def _write(self, name: str, content: Content, *, new: bool) -> bool: ...

    @abstractmethod
    def _read(self, name: str) -> Any: ...

    @abstractmethod
    def _has(self, name: str) -> bool: ...

    @abstractmethod
    def _names(self, prefix: str) -> Iterator[tuple[str, int]]: ...

    @abstractmethod
    def _folders(self, prefix: str) -> Iterator[str]: ...

    @abstractmethod
    def _remove(self, name: str) -> None: ...
