# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading an fstab, and finding what its lines name."""

from __future__ import annotations

import re

from .subject import Filesystem


def entries(text: str) -> list[tuple[str, str, str, str]]:
    """The lines of an fstab: what, where, filesystem, options."""
    lines = (line.split() for line in text.splitlines() if not line.lstrip().startswith("#"))
    padded = ([*words, "", "", ""][:4] for words in lines if len(words) >= 2)
    return [(a, b, c, d) for a, b, c, d in padded]


def named(spec: str, found: list[Filesystem]) -> Filesystem | None:
    """The filesystem that a first field of fstab (or a kernel's root=) means."""
    tag, equals, value = spec.partition("=")
    value = value.strip('"')
    by_path = re.fullmatch(r"/dev/disk/by-(uuid|label|partuuid|partlabel)/(.+)", spec)
    if by_path:
        tag, equals, value = by_path[1].upper(), "=", by_path[2]
    if equals:
        field = {"UUID": "uuid", "LABEL": "label", "PARTUUID": "partuuid", "PARTLABEL": "partlabel"}.get(tag)
        same = [one for one in found if field and value and getattr(one, field).lower() == value.lower()]
        return same[0] if same else None
    device = re.fullmatch(r"/dev/(?:(?:sd|vd|xvd|hd)[a-z]|(?:nvme\d+n|mmcblk)\d+p)(\d*)", spec)
    number = int(device[1] or 0) if device else -1
    return next((one for one in found if one.number == number), None)
