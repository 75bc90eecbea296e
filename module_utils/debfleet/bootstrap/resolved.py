# SPDX-License-Identifier: GPL-3.0-or-later
"""What an earlier build resolved, which holds as long as the archive is in the same state."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from .. import journal
from ..bases.fingerprint import of_parts, of_path
from ..ledger import cache_folder
from . import resolve
from .apt import LOCKED, Apt, is_file
from .resolve import Package
from .tree import archive_digest
from .variant import Tree

KEEP_DAYS = 30


def known(apt: Apt, tree: Tree, wanted: Mapping[str, Sequence[str]], *, standard: bool) -> list[Package] | None:
    """The packages that an image will hold, where the same were resolved before; None where they weren't."""
    try:
        written = json.loads(_place(apt, tree, wanted, standard).read_text(encoding="utf-8"))
        return [Package(**one) for one in written]
    except (OSError, ValueError, TypeError):
        return None


def keep(
    apt: Apt, tree: Tree, wanted: Mapping[str, Sequence[str]], found: Sequence[Package], *, standard: bool
) -> None:  # fmt: skip
    """Keep what was resolved. What can't be kept is no error, and told in the log."""
    place = _place(apt, tree, wanted, standard)
    new = place.with_name(f".{os.getpid()}-{place.name}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new.write_text(json.dumps([asdict(package) for package in found]), encoding="utf-8")
        new.replace(place)
    except OSError as error:
        journal.log(f"what was resolved could not be kept for later builds: {error}")
    finally:
        new.unlink(missing_ok=True)
    for other in place.parent.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - other.stat().st_mtime > KEEP_DAYS * 86400:
                other.unlink()


def _place(apt: Apt, tree: Tree, wanted: Mapping[str, Sequence[str]], standard: bool) -> Path:
    names = [name for names in wanted.values() for name in names]
    shape = {
        "archive": archive_digest(apt),
        "sources": list(apt.sources),
        "pins": [of_path(apt.folder / "preferences.d"), of_path(apt.folder / LOCKED)],
        "recommends": apt.recommends,
        "tree": [tree.suite, tree.architecture, tree.variant, list(tree.include), list(tree.exclude)],
        "wanted": sorted(set(names)),
        "files": [of_path(Path(name)) for name in names if is_file(name)],
        "standard": standard,
        "code": inspect.getsource(resolve),
    }
    return cache_folder() / "resolved" / f"{of_parts(shape)[:32]}.json"
