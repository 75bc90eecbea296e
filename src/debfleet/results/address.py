# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results are kept: a folder, by default `results/` of the working folder."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

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
    raise DebfleetError(f"{address or 'nothing'} is no store of results that debfleet knows", hint="write a folder")
