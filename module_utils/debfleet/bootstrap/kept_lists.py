# SPDX-License-Identifier: GPL-3.0-or-later
"""apt's lists as an earlier build left them, so that apt gets only what the mirror has changed since.

apt checks each Release file's signature, and each list against its Release file, wherever they come from.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from .. import journal
from ..bases.fingerprint import of_parts
from ..ledger import cache_folder
from .apt import Apt

KEEP_DAYS = 30


def seed(apt: Apt, asked: Sequence[object]) -> None:
    """Copy the kept lists of these sources to where apt will look; nothing where none are kept.

    :param asked: all that decides which lists there are.
    """
    kept = _kept(asked)
    with contextlib.suppress(OSError):  # a build beside this one may replace them just now
        for path in kept.iterdir():
            shutil.copy2(path, apt.folder / "lists" / path.name)
        os.utime(kept)


def keep(apt: Apt, asked: Sequence[object]) -> None:
    """Keep the lists that apt has got. What can't be kept is no error, and told in the log."""
    kept = _kept(asked)
    new = kept.with_name(f".{os.getpid()}-{kept.name}")
    old = kept.with_name(f".{os.getpid()}-{kept.name}.old")
    try:
        new.mkdir(parents=True, mode=0o700)
        for path in (apt.folder / "lists").iterdir():
            if path.is_file() and path.name != "lock":
                shutil.copy2(path, new / path.name)
        with contextlib.suppress(FileNotFoundError):
            kept.rename(old)
        new.rename(kept)
    except OSError as error:
        journal.log(f"the package lists could not be kept for later builds: {error}")
    finally:
        for folder in (new, old):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in kept.parent.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > KEEP_DAYS * 86400:
                shutil.rmtree(folder, ignore_errors=True)


def _kept(asked: Sequence[object]) -> Path:
    return cache_folder() / "lists" / of_parts({"asked": list(asked)})[:32]
