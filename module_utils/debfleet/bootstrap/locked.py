# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of an earlier image, wanted again in the very versions that its packages.json lists."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DebfleetError, FindingsError
from .apt import LOCKED, Apt
from .resolve import Package

PRIORITY = 1001  # above every other, so that an older version is taken, too


@dataclass(frozen=True)
class Lock:
    """What an earlier image held.

    :param versions: by the packages' names.
    :param epoch: the moment that its build was told, in seconds since 1970; None where it was told none.
    """

    release: str
    architecture: str
    versions: Mapping[str, str]
    epoch: int | None = None


class DriftError(FindingsError):
    """The archive would give other packages than are wanted. `drift` has each by name: wanted and found version."""

    def __init__(self, file: Path, drift: Mapping[str, tuple[str, str]]) -> None:
        self.drift = dict(drift)
        lines = [
            f"{name}: {wanted or 'not'} wanted, {found or 'none'} found" for name, (wanted, found) in drift.items()
        ]
        super().__init__(
            f"{len(drift)} package{'s' if len(drift) > 1 else ''} would not be as in the list of locked ones",
            where=str(file),
            why="\n".join(lines),
            hint="name a mirror that still has these versions in bootstrapper.mirror, or build without -e locked",
        )


def read(file: Path) -> Lock:
    """Read a packages.json. Raises DebfleetError where it is none."""
    try:
        written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if written["schema_version"] != 1:
            raise ValueError(f"its schema_version is {written['schema_version']}, not 1")
        versions = {str(one["name"]): str(one["version"]) for one in written["packages"]}
        return Lock(written["release"], written["architecture"], versions, written.get("source_date_epoch"))
    except OSError as error:
        why = error.strerror or ""
        raise DebfleetError("the list of locked packages can't be read", where=str(file), why=why) from error
    except (ValueError, TypeError, KeyError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise DebfleetError(
            "the list of locked packages is no packages.json",
            where=str(file),
            why=why,
            hint="name that of a built image",
        ) from error


def preferences(lock: Lock) -> str:
    """The text by which apt takes these versions wherever the archive has them."""
    return "\n".join(
        f"Package: {name}\nPin: version {version}\nPin-Priority: {PRIORITY}\n"
        for name, version in sorted(lock.versions.items())
    )


def hold(apt: Apt, lock: Lock) -> None:
    """Let the whole build take these versions."""
    path, text = apt.folder / LOCKED, preferences(lock)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def drift(lock: Lock, found: Iterable[Package]) -> dict[str, tuple[str, str]]:
    """What would be other than wanted, by name: the version wanted and the one found, empty where there is none."""
    versions = {package.name: package.version for package in found}
    return {
        name: (lock.versions.get(name, ""), versions.get(name, ""))
        for name in sorted({*lock.versions, *versions})
        if lock.versions.get(name) != versions.get(name)
    }
