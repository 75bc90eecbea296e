# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels that are in a tree, and the files that a bootloader writes there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import DebfleetError


def newest(kernels: Iterable[str]) -> str | None:
    """The highest of file names like vmlinuz-6.12.41-cloud-amd64, by version; None of none."""
    return max(kernels, key=_key, default=None)


def _key(name: str) -> list[tuple[int, int, str]]:
    words = re.findall(r"\d+|[a-z]+|~", name.partition("-")[2])
    return [(2, int(word), "") if word.isdigit() else (0 if word == "~" else 1, 0, word) for word in words]


def names(tree: Path) -> list[str]:
    """The names of the kernels in /boot, the oldest first. Raises DebfleetError where there is none."""
    found = [path.name for pattern in ("vmlinuz-*", "vmlinux-*") for path in (tree / "boot").glob(pattern)]
    if not found:
        raise DebfleetError(
            "there is no kernel in the image", where="packages.install", hint="install linux-image-<flavour>"
        )
    return sorted(found, key=_key)


def version(name: str) -> str:
    """The version in a kernel's name."""
    return name.partition("-")[2]


def initrd(name: str) -> str:
    """The name of a kernel's initramfs."""
    return f"initrd.img-{version(name)}"


def write(path: Path, text: str) -> None:
    """Write a file of the tree, for all to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
