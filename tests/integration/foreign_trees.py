# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing two trees whole: what was made by native tools with what was emulated."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

# What differs between any two builds: made at random, or of the moment.
EXPECTED = (
    r"etc/ssh/ssh_host_.*",
    r"boot/initrd\.img-.*",  # its contents are compared by themselves
    r"etc/(g?shadow|passwd|group)-?",  # the day of the last change, and copies from before
    r"var/log/.*",
    r"var/cache/(ldconfig/aux-cache|debconf/.*-old)",
    r"var/lib/(dpkg/.*-old|systemd/random-seed|systemd/credential\.secret)",
    r"etc/machine-id|etc/hostname|etc/fstab",
)
Entry = tuple[str, int, int, int, tuple[tuple[str, bytes], ...], str]


def entries(root: Path) -> dict[str, Entry]:
    """All of a tree: type and mode, owner, group, links, extended attributes, content or target."""
    return {str(path.relative_to(root)): _entry(path) for path in _walk(root)}


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        yield from (Path(folder, name) for name in [*folders, *files])


def _entry(path: Path) -> Entry:
    told = path.lstat()
    content = ""
    if stat.S_ISREG(told.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    elif stat.S_ISLNK(told.st_mode):
        content = os.readlink(path)
    names = sorted(os.listxattr(path, follow_symlinks=False))
    attributes = tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)
    links = told.st_nlink if stat.S_ISREG(told.st_mode) else 0
    return oct(told.st_mode), told.st_uid, told.st_gid, links, attributes, content


def differences(one: Path, other: Path, expected: tuple[str, ...] = EXPECTED) -> list[str]:
    """What differs, a line each; but for what is expected to differ in its content."""
    a, b = entries(one), entries(other)
    known = re.compile("|".join(f"(?:{pattern})" for pattern in expected))
    told = []
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b:
            told.append(f"{name}: only in {'the second' if name not in a else 'the first'}")
        elif known.fullmatch(name):
            if a[name][:5] != b[name][:5]:
                told.append(f"{name}: {a[name][:5]} and {b[name][:5]}")
        elif a[name] != b[name]:
            told.append(f"{name}: {a[name]} and {b[name]}")
    return told


def mentions(root: Path, text: bytes) -> list[str]:
    """The files that have these words in them, or in their names."""
    found = []
    for path in _walk(root):
        if text in os.fsencode(path.relative_to(root)):
            found.append(str(path))
        elif path.is_symlink():
            found += [str(path)] if text in os.fsencode(os.readlink(path)) else []
        elif path.is_file() and text in path.read_bytes():
            found.append(str(path))
    return found
