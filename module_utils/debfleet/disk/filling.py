# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ways of filling a filesystem have in common: nested mount points hidden, and what is told."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import epoch, journal, namespace
from ..errors import DebfleetError, MissingError
from ..run import Done, run
from ..sizes import shown
from .census import Share
from .shape import Partition

# Each pair before `--` is an empty folder and the one it hides. The command sees them so; nobody else does.
MASKED = 'set -e; while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift; exec "$@"'


def run_masked(argv: Sequence[str], masks: Mapping[Path, Path], *, apart: bool = False) -> Done:
    """Run a program that sees an empty folder in the place of each that `masks` hides.

    :param apart: in a mount namespace of its own also where nothing is hidden. Raises CommandError.
    """
    if not masks and not apart:
        return run(argv, env=times())
    pairs = [str(path) for hidden, empty in masks.items() for path in (empty, hidden)]
    return run(namespace.apart(["sh", "-c", MASKED, "sh", *pairs, "--", *argv]), env=times(), shown=argv)


def times() -> dict[str, str]:
    """Bookworm's e2fsprogs knows SOURCE_DATE_EPOCH by another name."""
    told = os.environ.get(epoch.NAME)
    return {"E2FSPROGS_FAKE_TIME": told} if told else {}


def too_small(part: Partition, share: Share, why: str) -> DebfleetError:
    """A partition that can't hold its share of the tree."""
    where = f"volume.partitions.{part.name}.size"
    return DebfleetError(
        f"the partition {part.name} ({part.mount}) of {shown(part.size)} is too small for what belongs there",
        where=where,
        why=f"its files take {shown(share.data)} and {share.inodes} inodes; {why}",
        hint=f"enlarge {where}, or have less installed",
    )


def no_room(why: str) -> MissingError:
    """The builder's own disk is full."""
    hint = "make room there, or choose another bootstrapper.workspace"
    return MissingError("no room is left where the disk is put together", why=why, hint=hint)


def tell_split(part: Partition, share: Share) -> None:
    """Log the hard links that a partition of its own cuts: the content is kept, in two copies."""
    if share.split:
        journal.log(
            f"{len(share.split)} files of {part.mount} were hard links to files of another filesystem; "
            "they are copies now: " + ", ".join(sorted(share.split)[:20])
        )
