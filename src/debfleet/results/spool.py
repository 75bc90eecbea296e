# SPDX-License-Identifier: GPL-3.0-or-later
"""The spool: results that lie whole on this machine's disk until the store has them, sent in the order they came.

An attempt is put together under a temporary name, and has its place in the line by one rename. What is here is sent
again after a crash, which is harmless (commit.py): so nothing is lost, and nothing counts twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from debfleet.common.errors import DebfleetError

from . import commit
from .paths import LOG, RESULT
from .result import File, Result
from .store import Store, StoreDownError

ENTRY = re.compile(r"([0-9]{12})-([0-9a-f]{32})")
FILES = "files"
REFUSED = "refused"  # the folder of entries that no store will ever take
CHUNK = 1 << 20


@dataclass(frozen=True)
class Sent:
    """What sending did: what was committed, and what could not be: its path in the spool, and why."""

    committed: tuple[commit.Committed, ...]
    refused: tuple[tuple[Path, DebfleetError], ...] = ()
    waiting: int = 0
    down: StoreDownError | None = None


class Spool:
    """A spool in a folder, for any number of processes of one machine. Raises DebfleetError when it can't be used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with self._told():
            folder.mkdir(parents=True, exist_ok=True)

    def add(self, result: Result, log: Path | None = None, artifacts: Mapping[str, Path] | None = None) -> Path:
        """Put a result into the line; it outlives a loss of power. Returns its folder.

        :param log: the compressed log (zstd) of an attempt; `artifacts`: its files by the names they shall have, as
            `artifacts/hello_1_amd64.deb`. They are copied.
        """
        given = {**({LOG: log} if log else {}), **(artifacts or {})}
        token = uuid.uuid4().hex
        new = self.folder / f".new-{os.getpid()}-{token}"
        with self._told():
            try:
                (new / FILES).mkdir(parents=True)
                files = [_copied(source, new / FILES, name) for name, source in given.items()]
                whole = replace(
                    result, log=files[0] if log else result.log, artifacts=tuple(files[1:] if log else files)
                )
                _write(new / RESULT, (whole if given else result).to_bytes())
                for folder, _, _ in os.walk(new):
                    _sync(Path(folder))
                with self._locked("line"):
                    number = 1 + max((int(one.name[:12]) for one in self.entries()), default=self._last())
                    _write(self.folder / "last", str(number).encode())
                    entry = self.folder / f"{number:012}-{token}"
                    new.rename(entry)
                    _sync(self.folder)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        return entry

    def entries(self) -> list[Path]:
        """What waits, the oldest first."""
        with self._told():
            return sorted(one for one in self.folder.iterdir() if ENTRY.fullmatch(one.name))

    def send(self, store: Store) -> Sent:
        """Commit what waits, in order, until the store is down. What it refuses for good is set aside and told.

        One process sends at a time; another waits for it.
        """
        committed: list[commit.Committed] = []
        refused: list[tuple[Path, DebfleetError]] = []
        with self._told(), self._locked("sending"):
            for entry in self.entries():
                try:
                    committed.append(self._sent(store, entry))
                except StoreDownError as error:
                    return Sent(tuple(committed), tuple(refused), len(self.entries()), error)
                except (DebfleetError, OSError) as error:
                    (self.folder / REFUSED).mkdir(exist_ok=True)
                    aside = entry.rename(self.folder / REFUSED / entry.name)
                    refused.append((aside, _worded(error, entry)))
                    continue
                shutil.rmtree(entry.rename(self.folder / f".new-{os.getpid()}-{uuid.uuid4().hex}"))
        return Sent(tuple(committed), tuple(refused))

    def heal(self) -> None:
        """Delete what was being put together, or deleted, when its process died."""
        with self._told():
            for one in self.folder.glob(".new-*"):
                if not Path(f"/proc/{one.name.split('-')[1]}").exists():
                    shutil.rmtree(one, ignore_errors=True)

    def _sent(self, store: Store, entry: Path) -> commit.Committed:
        result = Result.from_bytes((entry / RESULT).read_bytes(), str(entry))
        token = entry.name.rpartition("-")[2][:12]
        files = {} if result.final else {one.file: entry / FILES / one.file for one in result.files}
        return commit.commit(store, result, files, token)

    def _last(self) -> int:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((self.folder / "last").read_bytes())
        return 0

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with open(self.folder / f".{name}", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or str(error)
            raise DebfleetError("could not keep a result", where=error.filename or str(self.folder), why=why) from error


def _worded(error: DebfleetError | OSError, entry: Path) -> DebfleetError:
    if isinstance(error, DebfleetError):
        return error
    return DebfleetError("could not read a result of the spool", where=str(entry), why=str(error))


def _copied(source: Path, folder: Path, name: str) -> File:
    """Copy a file into a folder, synced; what it is."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with open(source, "rb") as old, open(target, "xb") as new:
        while piece := old.read(CHUNK):
            digest.update(piece)
            size += len(piece)
            new.write(piece)
        new.flush()
        os.fsync(new.fileno())
    return File(name, size, digest.hexdigest())


def _write(path: Path, raw: bytes) -> None:
    new = path.with_name(f"{path.name}.new")
    with open(new, "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
