# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of native tools in the cache: found by the versions of their packages, made once, gone when long unused.

A tree is a folder with tools.json (schema: `Tools`), which a build binds as it is.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import journal
from ..architectures import Architecture
from ..bases.fingerprint import of_parts
from ..bases.making import making
from ..ledger import cache_folder
from . import native, table
from .packages import versions_of
from .versions import covers

NOTE = "tools.json"
DAYS = 30  # DEBFLEET_CACHE_DAYS
MOST = 6  # trees, that many of the last used
USED = 86400  # seconds for which a build may use a tree that it has found
STALE = 3600


@dataclass(frozen=True)
class Tools:
    """A tree of tools: where, of which suite and architecture, from which versions of packages; programs by path."""

    folder: Path
    suite: str
    architecture: str
    versions: Mapping[str, str]
    programs: Mapping[str, str]


def folder() -> Path:
    """Where the trees are."""
    return cache_folder() / "foreign/tools"


def code() -> str:
    """What makes trees, in a word: a tree that other code made is not taken."""
    return of_parts([inspect.getsource(native), inspect.getsource(table)])[:12]


def find(suite: str, row: Architecture, image: Mapping[str, str]) -> Tools | None:
    """A tree whose packages are all of the image's versions; the one that was used last."""
    for note in _notes():
        known = _read(note, row)
        if known and known.suite == suite and covers(known.versions, image):
            with contextlib.suppress(FileNotFoundError):
                os.utime(note)
            return known
    return None


def make(suite: str, row: Architecture, versions: Mapping[str, str], get: Callable[[], dict[str, Path]]) -> Tools:
    """The tree of these very packages: as it is there, else made. Whoever wants the same at the same time waits.

    :param versions: those of the packages that tools are taken from.
    :param get: gets them, and all that they depend on: .deb files by name.
    """
    key = of_parts([code(), suite, row.name, dict(versions)])[:32]
    top = folder()
    top.mkdir(parents=True, exist_ok=True, mode=0o755)
    with making(top, key, "the same tools"):
        there = _read(top / key / NOTE, row)
        if there:
            return there
        new = top / f".{os.getpid()}-{key}"
        shutil.rmtree(new, ignore_errors=True)
        try:
            files = get()
            start = time.monotonic()
            made = native.make(files, row, new)
            tools = Tools(top / key, suite, row.name, versions_of(files), made.programs)
            written = {"schema_version": 1, "code": code(), **asdict(tools)}
            (new / NOTE).write_text(json.dumps(written, indent=1, default=str) + "\n", encoding="utf-8")
            new.chmod(0o755)
            shutil.rmtree(top / key, ignore_errors=True)
            new.rename(top / key)
            journal.log(f"# native tools: {len(made.programs)} programs made in {time.monotonic() - start:.1f} s")
        finally:
            shutil.rmtree(new, ignore_errors=True)
    evict(spare=top / key)
    return tools


def evict(spare: Path | None = None) -> list[Path]:
    """Remove trees that were not used for long, and all but the last used. Returns what is gone."""
    old = float(os.environ.get("DEBFLEET_CACHE_DAYS") or DAYS) * 86400
    gone, now = [], time.time()
    for number, note in enumerate(_notes()):
        unused = now - note.stat().st_mtime
        if note.parent != spare and unused > USED and (unused > old or number >= MOST):
            note.unlink(missing_ok=True)
            shutil.rmtree(note.parent, ignore_errors=True)
            gone.append(note.parent)
    for left in folder().glob(".*"):
        with contextlib.suppress(FileNotFoundError):
            if now - left.stat().st_mtime > STALE:
                shutil.rmtree(left, ignore_errors=True)
    return gone


def _notes() -> list[Path]:
    """The notes of all trees, the one used last first."""
    times = {}
    for note in folder().glob(f"[0-9a-f]*/{NOTE}"):
        with contextlib.suppress(FileNotFoundError):
            times[note] = note.stat().st_mtime
    return sorted(times, key=lambda note: times[note], reverse=True)


def _read(note: Path, row: Architecture) -> Tools | None:
    try:
        written = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if written.get("code") != code() or written.get("architecture") != row.name:
        return None
    return Tools(note.parent, written["suite"], written["architecture"], written["versions"], written["programs"])
