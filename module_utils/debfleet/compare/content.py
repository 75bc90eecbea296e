# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs inside of the files of two images, as diffoscope tells it, and in their times."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ..inspect.root import Entry
from ..run import CommandError, find, run
from .files import Files
from .side import Side

MOST = 50  # files that are looked into
LARGEST = 64 << 20  # bytes of one that is
TIMES = 20  # that are told one by one
OPTIONS = ("--text=-", "--exclude-directory-metadata=yes", "--max-text-report-size=50000", "--max-diff-block-lines=25")
NOTHING = "the same files, of the same times: what differs is the filesystems' own, or lies outside of them"


def summary(a: Side, b: Side, entries_a: Mapping[str, Entry], entries_b: Mapping[str, Entry], found: Files) -> str:
    """A text. Raises MissingError without diffoscope."""
    find("diffoscope", "diffoscope-minimal")
    wanted = [path for path, change in found.changed.items() if "content" in change]
    small = [path for path in wanted if max(found.changed[path]["content"]) <= LARGEST]
    lines = list(_times(entries_a, entries_b))
    if len(small) < len(wanted) or len(small) > MOST:
        lines.append(f"looked into {min(len(small), MOST)} of {len(wanted)} files")
    if small:
        lines.append(_diffoscope(a, b, entries_a, entries_b, small[:MOST]))
    return "\n".join(lines or [NOTHING])


def _times(a: Mapping[str, Entry], b: Mapping[str, Entry]) -> Iterator[str]:
    """The files that were last changed at another time."""
    both = sorted(path for path in a.keys() & b.keys() if not path.endswith(":/"))  # FAT's top has no time
    other = [path for path in both if a[path].stat.st_mtime_ns != b[path].stat.st_mtime_ns]
    if other:
        yield f"{len(other)} file{'s' * (len(other) != 1)} of another time" + (
            f", the first {TIMES}:" if len(other) > TIMES else ":"
        )
    for path in other[:TIMES]:
        yield f"  {path}  {_shown(a[path])} → {_shown(b[path])}"


def _shown(entry: Entry) -> str:
    return datetime.fromtimestamp(entry.stat.st_mtime_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _diffoscope(
    a: Side, b: Side, entries_a: Mapping[str, Entry], entries_b: Mapping[str, Entry], paths: list[str]
) -> str:
    with tempfile.TemporaryDirectory(prefix="debfleet-content-") as scratch:
        for name, side, entries in (("a", a, entries_a), ("b", b, entries_b)):
            for path in paths:
                prefix = path[: len(path) - len(entries[path].path)]
                copy = Path(scratch, name, path.lstrip("/"))
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(f"{side.trees[prefix].top}{entries[path].path}", copy)
        done = run(["diffoscope", *OPTIONS, "a", "b"], cwd=scratch, check=False)
        if done.returncode not in (0, 1):
            raise CommandError(done.argv, done.returncode, done.stderr or done.stdout)
        return done.stdout.rstrip("\n")
