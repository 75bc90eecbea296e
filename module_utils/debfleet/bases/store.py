# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of kept trees: found by key, checked by hash, evicted by size and age, shared by parallel builds.

For each base there are KEY.tar.zst and KEY.json (schema: `Base`), the JSON written last. Locks lie in `locks/`; a lock
dies with the process that holds it. A reader that has opened a file keeps it, whoever evicts it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import DebfleetError
from ..ledger import cache_folder
from ..sizes import in_bytes, shown
from . import ahead
from .making import making
from .packing import digest, ending, pack, unpack, unpacking

SCHEMA_VERSION = 1
SIZE = "10GiB"  # DEBFLEET_CACHE_SIZE
DAYS = 30  # DEBFLEET_CACHE_DAYS
RESERVE = 1 << 30  # bytes of the disk left to others
STALE = 3600  # seconds after which what a killed build left half packed is removed


@dataclass(frozen=True)
class Base:
    """A kept tree: the step that made it and what shaped it, its packages, its file's hash and bytes, when it was made
    (seconds since 1970) and how many seconds that took.
    """

    key: str
    step: str
    parts: Mapping[str, Any]
    packages: int
    blake2b: str
    size: int
    made: float
    seconds: float


class DamagedError(DebfleetError):
    """A kept tree isn't what was written; it is removed already."""


@dataclass(frozen=True)
class Store:
    """A folder of bases, with what it may hold: bytes, and seconds since a base was last used."""

    folder: Path
    size: int
    age: float

    @classmethod
    def default(cls) -> Store:
        """The cache's, with the limits of the environment."""
        size = in_bytes(os.environ.get("DEBFLEET_CACHE_SIZE") or SIZE)
        return cls(cache_folder() / "bases", size, float(os.environ.get("DEBFLEET_CACHE_DAYS") or DAYS) * 86400)

    def find(self, key: str) -> Base | None:
        """The base of this key, its file read through and found whole.

        :raises DamagedError: when the file isn't what was kept; both files are gone then.
        """
        try:
            base = self._read(self._note(key))
        except (OSError, ValueError, TypeError):
            return None
        file = self._file(key)
        try:
            whole = file.stat().st_size == base.size and digest(file) == base.blake2b
        except FileNotFoundError:
            return None
        if not whole:
            self.forget(key)
            raise DamagedError(f"the tree kept as {file.name} is damaged", hint="it is removed and made anew")
        for path in (file, self._note(key)):
            with contextlib.suppress(FileNotFoundError):
                os.utime(path)
        return base

    def making(self, key: str) -> AbstractContextManager[None]:
        """While this process makes the base, whoever wants the same waits."""
        return making(self.folder, key, "the same tree")

    def keep(self, key: str, step: str, parts: Mapping[str, Any], root: Path, *, packages: int, seconds: float) -> Base:
        """Pack a tree and keep it. Called while `making` holds the key.

        :raises DebfleetError: when it could not be kept, for want of room first of all; nothing of it stays.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._file(key)
        free = shutil.disk_usage(self.folder).free
        if free < RESERVE:
            raise DebfleetError("there is no room for a tree", where=str(self.folder), why=f"{shown(free)} are free")
        pack(root, file)
        file.chmod(0o600)
        base = Base(key, step, parts, packages, digest(file), file.stat().st_size, time.time(), round(seconds, 2))
        new = self.folder / f".{os.getpid()}-{key}.json"
        new.write_text(json.dumps({"schema_version": SCHEMA_VERSION, **asdict(base)}, indent=1), encoding="utf-8")
        new.replace(self._note(key))
        self.evict(spare=key)
        return base

    def unpack(self, base: Base, root: Path) -> None:
        """Put a base's tree into an empty folder."""
        unpack(self._file(base.key), root)

    def begin_unpacking(self, base: Base, folder: Path) -> None:
        """Begin to put a base's tree into a folder that isn't there yet; `ahead.wait` waits for it."""
        with self._file(base.key).open("rb") as stream:  # it may be evicted meanwhile
            fd = stream.fileno()
            ahead.begin(unpacking(Path(f"/dev/fd/{fd}"), folder), folder, pass_fds=[fd])

    def forget(self, key: str) -> None:
        """Remove a base; the note first, so that none is found half."""
        self._note(key).unlink(missing_ok=True)
        self._file(key).unlink(missing_ok=True)

    def all(self) -> list[Base]:
        """Every base, the one used last first. Their files are not looked at."""
        found = []
        for note in self._notes():
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.append(self._read(note))
        return found

    def nearest(self, step: str, parts: Mapping[str, Any]) -> Base | None:
        """The base of this step that has most in common with these parts; of several, the one used last."""
        return max(
            (base for base in self.all() if base.step == step),
            key=lambda base: sum(base.parts.get(name) == value for name, value in parts.items()),
            default=None,
        )

    def evict(self, spare: str = "") -> list[str]:
        """Remove what is too old, then what was used longest ago, until the rest fits. Returns the keys removed."""
        gone, total = [], 0
        for number, note in enumerate(self._notes()):
            key = note.stem
            try:
                total += self._file(key).stat().st_size
                old = time.time() - note.stat().st_mtime > self.age
            except FileNotFoundError:
                old = True
            if key != spare and (old or (total > self.size and number)):
                self.forget(key)
                gone.append(key)
        for path in [*self.folder.glob(".*"), *self.folder.glob("*.tar.*")]:
            with contextlib.suppress(FileNotFoundError):
                lost = path.name.startswith(".") or not self._note(path.name.partition(".")[0]).exists()
                if lost and time.time() - path.stat().st_mtime > STALE:
                    path.unlink()
        return gone

    def _notes(self) -> list[Path]:
        """The notes of all bases, the one used last first."""
        times = {}
        for note in self.folder.glob("[0-9a-f]*.json"):
            with contextlib.suppress(FileNotFoundError):
                times[note] = note.stat().st_mtime
        return sorted(times, key=lambda note: times[note], reverse=True)

    def _read(self, note: Path) -> Base:
        written = json.loads(note.read_text(encoding="utf-8"))
        if written.pop("schema_version") != SCHEMA_VERSION:
            raise ValueError(note)
        return Base(**written)

    def _note(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.{ending()}"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What shaped the one and not the other, in words: `packages +htop -vim`, `archive`."""
    told = []
    for name in sorted(set(old) | set(new)):
        before, now = old.get(name), new.get(name)
        if before == now:
            continue
        if _words(before) and _words(now):
            more = [f"+{word}" for word in now or () if word not in (before or ())]
            less = [f"-{word}" for word in before or () if word not in (now or ())]
            told.append(" ".join([name, *more, *less]))
        else:
            told.append(name)
    return told


def _words(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(word, str) for word in value)
