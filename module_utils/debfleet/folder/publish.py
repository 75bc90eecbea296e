# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder that appears whole or not at all: made beside its place, then exchanged with what is there in one step."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from .. import journal
from ..errors import DebfleetError
from ..ledger import Ledger

PARTIAL = ".partial"
METADATA = "metadata.json"  # what tells a folder of ours from one of the user's
AT_FDCWD = -100
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
TRIES = 100  # each lost to another build that published in between


@contextlib.contextmanager
def published(place: Path, ledger: Ledger | None) -> Iterator[Path]:
    """A new folder to fill; when the block ends well it stands at `place`, and what stood there is gone.

    When it ends with an error, or this process dies, `place` is as it was; what is left beside it is in the ledger.
    Raises DebfleetError where something stands at `place` that no build made.
    """
    refuse_strangers(place)
    partial = place.parent / f".{place.name}.{os.getpid()}{PARTIAL}"
    entry = ledger.add("folder", path=str(partial)) if ledger else None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if partial.exists():  # of a process that had our number, and has none now
            shutil.rmtree(partial)
        partial.mkdir(0o755)
        yield partial
        put(partial, place)
    except OSError as error:
        raise DebfleetError(f"could not write {place}", why=str(error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if ledger and entry and not partial.exists():
            ledger.drop(entry)


def remove(place: Path) -> bool:
    """Remove a build's folder: it is gone in one step. Returns whether there was one."""
    refuse_strangers(place)
    if not place.exists():
        return False
    partial = place.parent / f".{place.name}.{os.getpid()}{PARTIAL}"
    place.rename(partial)
    shutil.rmtree(partial)
    return True


def refuse_strangers(place: Path) -> None:
    """Raise DebfleetError where something stands at a place that no build made: it is not ours to replace."""
    if os.path.lexists(place) and (place.is_symlink() or not (place / METADATA).is_file()):
        raise DebfleetError(
            f"{place} is there and was not made by a build",
            why=f"a build's folder has a {METADATA}",
            hint="move it away, or name the image otherwise",
        )


def put(new: Path, place: Path) -> None:
    """Put a folder into its place in one step; what stood there stands where the new one was."""
    for _ in range(TRIES):
        if _rename(new, place, RENAME_EXCHANGE):
            return
        if _rename(new, place, RENAME_NOREPLACE):
            return
    raise DebfleetError(f"could not put the image into {place}", why="other builds publish there all the time")


def _rename(old: Path, new: Path, flag: int) -> bool:
    """renameat2. False where what stands at `new` doesn't suit the flag; so that the other flag has its turn."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flag)
    if done == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS):  # a filesystem that knows no such thing: two steps must do
        return _in_two_steps(old, new)
    if (flag == RENAME_EXCHANGE and number == errno.ENOENT) or (flag == RENAME_NOREPLACE and number == errno.EEXIST):
        return False
    raise DebfleetError(f"could not put the image into {new}", why=os.strerror(number))


def _in_two_steps(new: Path, place: Path) -> bool:
    journal.log(f"{place.parent} can't exchange two folders in one step; {place.name} is missing for a moment")
    if not place.exists():
        new.rename(place)
        return True
    aside = new.with_name(f"{new.name}.old")
    place.rename(aside)
    try:
        new.rename(place)
    except OSError:
        aside.rename(place)
        raise
    aside.rename(new)
    return True
