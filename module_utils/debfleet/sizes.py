# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes of volumes and partitions, as manifests write them.

The forms are those of bootstrap-vz: digits and one of B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB
(powers of 1024); besides ``40%`` of the volume, and ``remaining``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

UNITS = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}
PATTERN = r"^([0-9]+)(B|[KMGT]i?B)$"
PERCENT_PATTERN = r"^(100|[1-9][0-9]?)%$"
REMAINING = "remaining"


@dataclass(frozen=True)
class Bytes:
    """A size of so many bytes."""

    count: int


@dataclass(frozen=True)
class Percent:
    """A share of the volume, 1 to 100."""

    share: int


@dataclass(frozen=True)
class Remaining:
    """Whatever the other partitions leave."""


Size = Bytes | Percent | Remaining


def parse(text: str) -> Size:
    """Read a size. Raises ValueError, with the forms that are allowed, when it has none of them."""
    if text == REMAINING:
        return Remaining()
    if percent := re.fullmatch(PERCENT_PATTERN, text):
        return Percent(int(percent[1]))
    if match := re.fullmatch(PATTERN, text):
        return Bytes(int(match[1]) * UNITS[match[2]])
    raise ValueError(
        f"{text!r} is no size; write digits and a unit ({', '.join(UNITS)}), a share like 40%, or {REMAINING}"
    )


def in_bytes(text: str) -> int:
    """Read a size that must be a number of bytes. Raises ValueError for a share, ``remaining`` and anything else."""
    size = parse(text)
    if not isinstance(size, Bytes):
        raise ValueError(f"{text!r} is no fixed size; write digits and a unit ({', '.join(UNITS)})")
    return size.count


def shown(count: int) -> str:
    """Bytes for a reader: ``1.5 GiB``."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value == int(value) else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
