# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results are kept: a folder, by default `results/` of the working folder; or a bucket or container.

`s3://BUCKET/PREFIX?endpoint=https://…&region=…`, `swift://CONTAINER/PREFIX`. Who we are is told by the environment.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from debfleet.common.errors import DebfleetError

from .directory import DirectoryStore
from .store import Store

VARIABLE = "DEBFLEET_RESULTS"
DEFAULT = "results"


def default() -> str:
    """The address that is used when none is given: DEBFLEET_RESULTS, else `results`."""
    return os.environ.get(VARIABLE) or DEFAULT


def opened(address: str) -> Store:
    """The store at an address. Raises DebfleetError when there can be none."""
    parts = urlsplit(address)
    if not parts.scheme and address:
        return DirectoryStore(Path(address).absolute())
    if parts.scheme == "s3" and parts.netloc:
        from .s3 import S3Store

        said = _settings(parts.query, ("endpoint", "region", "settle"))
        return S3Store(parts.netloc, parts.path, **said)
    if parts.scheme == "swift" and parts.netloc:
        from .swift import SwiftStore

        return SwiftStore(parts.netloc, parts.path, **_settings(parts.query, ("settle",)))
    hint = "write a folder, s3://BUCKET/PREFIX or swift://CONTAINER/PREFIX"
    raise DebfleetError(f"{address or 'nothing'} is no store of results that debfleet knows", hint=hint)


def _settings(query: str, known: Sequence[str]) -> dict[str, Any]:
    """What stands after the question mark. Raises DebfleetError for what isn't known there."""
    said: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    try:
        settle = {"settle": float(said["settle"])} if "settle" in said else {}
        if set(said) - set(known) or any(not 0 <= seconds < 3600 for seconds in settle.values()):
            raise ValueError
    except ValueError:
        hint = f"known are {', '.join(known)}"
        raise DebfleetError(f"{query} is no setting of a store of results", hint=hint) from None
    return {**said, **settle}
