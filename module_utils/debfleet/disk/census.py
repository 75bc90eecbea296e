# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tree needs of each filesystem that it is spread over, counted without changing it."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

UNIT = 1024  # the smallest block a filesystem gives


@dataclass
class Share:
    """A filesystem's share of the tree.

    `data` is the least that its contents take in bytes, `entries` its names, `inodes` its inodes. `split` are files of
    which another hard link belongs to another filesystem.
    """

    data: int = 0
    entries: int = 0
    inodes: int = 0
    split: list[str] = field(default_factory=list)


def census(tree: Path, mounts: Collection[str]) -> dict[str, Share]:
    """Count the tree by mount point: each entry belongs to the innermost of `mounts` above it ("/" is one of them)."""
    shares = {mount: Share() for mount in mounts}
    links: dict[tuple[int, int], dict[str, list[str]]] = {}
    top = os.fspath(tree)
    pending = [(top, "/")]
    while pending:
        folder, mount = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                inside = entry.path[len(top) :]
                status = entry.stat(follow_symlinks=False)
                share = shares[mount]
                share.entries += 1
                if entry.is_dir(follow_symlinks=False):
                    share.inodes += 1
                    share.data += UNIT
                    pending.append((entry.path, inside if inside in shares else mount))
                    continue
                first = True
                if status.st_nlink > 1:
                    names = links.setdefault((status.st_dev, status.st_ino), {})
                    first = mount not in names
                    names.setdefault(mount, []).append(inside)
                if first:
                    share.inodes += 1
                    if stat.S_ISREG(status.st_mode):
                        share.data += min(status.st_blocks * 512, -(-status.st_size // UNIT) * UNIT)
    for names in links.values():
        if len(names) > 1:
            for mount, paths in names.items():
                shares[mount].split = sorted([*shares[mount].split, *paths])
    return shares
