# SPDX-License-Identifier: GPL-3.0-or-later
"""What has changed in a tree since it was a step's result: by the times of change that the kernel keeps, which no
program can set, and by the numbers of its folders, for what was moved there has older times.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

FILE = "stamp.json"  # in the work folder
PAUSE = 0.001
STEP = 1_000_000  # nanoseconds by which a clock may seem to go back


@dataclass(frozen=True)
class Stamp:
    """A moment of a tree.

    :param key: the key of the step whose result the tree was.
    :param changed: what was changed later has a later time of change than this, in nanoseconds.
    :param offset: of the clock of these times to one that is never set.
    :param folders: the number of each folder's inode, by its path.
    """

    key: str
    changed: int
    offset: int
    folders: dict[str, int] = field(default_factory=dict)

    @classmethod
    def take(cls, build: Path, root: Path, key: str) -> None:
        """Write down what the tree is now; nothing where its filesystem can't tell times so."""
        (build / FILE).unlink(missing_ok=True)
        try:
            changed = _now(root)
        except OSError:
            return
        folders = {str(Path(path).relative_to(root)): os.lstat(path).st_ino for path, _, _ in os.walk(root)}
        written = {"key": key, "changed": changed, "offset": _offset(), "folders": folders}
        (build / FILE).write_text(json.dumps(written), encoding="utf-8")

    @classmethod
    def of(cls, build: Path) -> Stamp | None:
        """That of a running build; None where there is none, or the clock was set back meanwhile."""
        try:
            written = json.loads((build / FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        made = cls(**written)
        return made if _offset() > made.offset - STEP else None

    def differences(self, root: Path, counts: Callable[[str], bool]) -> dict[str, str]:
        """All that was changed in the tree, by path: kind, mode, owner, content; of a folder, which names are in it.

        :param counts: whether a path, relative to the root, is looked at.
        """
        found = {}
        for path, entry, names in self._changed(root, "", False, counts):
            status = entry.lstat()
            whole = hashlib.blake2b(digest_size=20)
            whole.update(f"{status.st_mode:o} {status.st_uid} {status.st_gid}\n".encode())
            if stat.S_ISLNK(status.st_mode):
                whole.update(os.fsencode(entry.readlink()))
            elif stat.S_ISREG(status.st_mode):
                with entry.open("rb") as stream:
                    whole.update(hashlib.file_digest(stream, hashlib.blake2b).digest())
            whole.update("\0".join(names).encode(errors="surrogateescape"))
            found[path] = whole.hexdigest()
        return found

    def _changed(
        self, root: Path, folder: str, moved: bool, counts: Callable[[str], bool]
    ) -> Iterator[tuple[str, Path, list[str]]]:
        """Each path that was changed, in order; of a folder, what is in it."""
        status = (root / folder).lstat()
        moved = moved or self.folders.get(folder or ".") != status.st_ino
        with os.scandir(root / folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        within = [(f"{folder}/{entry.name}".lstrip("/"), entry) for entry in entries]
        within = [(path, entry) for path, entry in within if counts(path)]
        if moved or status.st_ctime_ns > self.changed:
            yield folder, root / folder, [entry.name for _, entry in within]
        for path, entry in within:
            if entry.is_dir(follow_symlinks=False):
                yield from self._changed(root, path, moved, counts)
            elif moved or entry.stat(follow_symlinks=False).st_ctime_ns > self.changed:
                yield path, Path(entry.path), []


def _offset() -> int:
    return time.time_ns() - time.monotonic_ns()


def _now(root: Path) -> int:
    """A time after that of every change in this filesystem until now, and before that of every later one."""
    file = os.open(root, os.O_TMPFILE | os.O_RDWR, 0o600)
    try:
        first = os.fstat(file).st_ctime_ns
        while os.fstat(file).st_ctime_ns == first:
            time.sleep(PAUSE)
            os.fchmod(file, 0o600)
    finally:
        os.close(file)
    return first
