# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file or a folder holds, in one word: the same word, the same content, whatever its path and times."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SKIPPED = ("__pycache__", ".git")


def of_path(path: Path) -> str:
    """The digest of a file, or of a folder with all below it: names, kinds, modes, contents, links' targets.

    A path where nothing is has a digest too. Python's caches and .git are not looked at.
    """
    whole = hashlib.blake2b(digest_size=20)
    for name, entry in _entries(path):
        try:
            mode = entry.lstat().st_mode
        except OSError:
            whole.update(f"{name}\0nothing\n".encode(errors="surrogateescape"))
            continue
        whole.update(f"{name}\0{mode:o}\0".encode(errors="surrogateescape"))
        if stat.S_ISLNK(mode):
            whole.update(os.fsencode(entry.readlink()))
        elif stat.S_ISREG(mode):
            with entry.open("rb") as stream:
                whole.update(hashlib.file_digest(stream, hashlib.blake2b).digest())
        whole.update(b"\n")
    return whole.hexdigest()


def of_parts(parts: Any) -> str:
    """Anything that JSON can hold in one word; mappings whatever their order."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def of_paths(paths: Iterable[str | Path]) -> dict[str, str]:
    """The digests of several, by path."""
    return {str(path): of_path(Path(path)) for path in paths}


def _entries(path: Path) -> Iterator[tuple[str, Path]]:
    yield ".", path.resolve() if path.is_symlink() else path
    if path.is_dir():
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if name not in SKIPPED)
            for name in sorted([*files, *folders]):
                entry = Path(folder, name)
                yield str(entry.relative_to(path)), entry
