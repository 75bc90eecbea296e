# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds a build to an earlier one: the moment that it is told, and the versions that `-e locked=FILE` names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from debfleet.common import epoch
from debfleet.common.bootstrap import locked
from debfleet.common.errors import DebfleetError


@dataclass(frozen=True)
class Locked:
    """A list of versions: its file, and what it says in one word."""

    file: Path
    digest: str


def wanted(asked: Any, manifest: Mapping[str, Any]) -> tuple[int | None, Locked | None]:
    """The moment that a build is told, in seconds since 1970, and the list of versions; None where there is none.

    A reproducible build that nobody tells a moment takes the archive's, which is known only later.

    :param asked: the extra variable `locked`.
    :raises DebfleetError: where the moment is none, or the list can't be read or is another system's.
    """
    seconds = epoch.given() if manifest["reproducible"] else None
    if not asked:
        return seconds, None
    file = Path(str(asked)).expanduser().absolute()
    lock = locked.read(file)
    for key in ("release", "architecture"):
        theirs, ours = getattr(lock, key), manifest["system"][key]
        if theirs != ours:
            raise DebfleetError("the list of locked packages is another system's", where=str(file),
                                why=f"its {key} is {theirs}, and the manifest's {ours}")  # fmt: skip
    if seconds is None and manifest["reproducible"]:
        seconds = lock.epoch
    said = json.dumps([lock.release, lock.architecture, dict(lock.versions)], sort_keys=True)
    return seconds, Locked(file, hashlib.sha256(said.encode()).hexdigest()[:40])
