# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels in a /boot, by the names of their files: vmlinuz-VERSION, or vmlinux-VERSION where an architecture has
them uncompressed. Pure, but for looking into a tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from .errors import DebfleetError

KERNEL = re.compile(r"vmlinu([xz])-(.+)")
GLOB = "vmlinu[xz]-*"  # the same for a shell


def among(names: Iterable[str]) -> list[str]:
    """Those that are kernels, the oldest first. Of two files of one version only the compressed one."""
    found: dict[str, str] = {}
    for name in sorted(names):  # vmlinux comes before vmlinuz, which takes its place
        if match := KERNEL.fullmatch(name):
            found[match[2]] = name
    return sorted(found.values(), key=_key)


def newest(names: Iterable[str]) -> str | None:
    """The kernel of the highest version; None of none."""
    return next(reversed(among(names)), None)


def _key(name: str) -> list[tuple[int, int, str]]:
    words = re.findall(r"\d+|[a-z]+|~", version(name))
    return [(2, int(word), "") if word.isdigit() else (0 if word == "~" else 1, 0, word) for word in words]


def version(name: str) -> str:
    """The version in a kernel's name."""
    return name.partition("-")[2]


def initrd(name: str) -> str:
    """The name of a kernel's initramfs."""
    return f"initrd.img-{version(name)}"


def within(tree: str | Path) -> list[str]:
    """The names of the kernels in a tree's /boot, the oldest first."""
    return among(path.name for path in (Path(tree) / "boot").glob(GLOB) if path.is_file())


def needed(tree: Path) -> list[str]:
    """The same. Raises DebfleetError where there is none."""
    found = within(tree)
    if not found:
        raise DebfleetError(
            "there is no kernel in the image", where="packages.install", hint="install linux-image-<flavour>"
        )
    return found
