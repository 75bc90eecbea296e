# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes as manifests may have them, good ones and any."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

MIB = 1 << 20
NAMES = ["swap", "boot", "home", "srv", "usr", "var", "var/log", "var/tmp", "opt", "opt/a"]

fixed = st.one_of(
    st.integers(1, 300).map("{}MiB".format),
    st.integers(1, 300_000_000).map("{}B".format),
    st.integers(1, 300).map("{}MB".format),
)


@st.composite
def volumes(draw: st.DrawFn) -> dict[str, Any]:
    """A volume that can be laid out, with any map, any order, and at most one partition that has what remains."""
    kind = draw(st.sampled_from(["gpt", "msdos", "none"]))
    names = ["root"] if kind == "none" else draw(st.permutations(["root", *draw(st.sets(st.sampled_from(NAMES)))]))
    shares = draw(st.booleans())
    partitions: dict[str, Any] = {"type": kind}
    for name in names:
        share = shares and draw(st.booleans())
        size = f"{draw(st.integers(1, 40 // len(names)))}%" if share else draw(fixed)
        partitions[name] = {"size": size} if name == "swap" else {"size": size, "filesystem": "ext4"}
    if draw(st.booleans()):
        partitions[draw(st.sampled_from(names))]["size"] = "remaining"
    free = any(not asked["size"].endswith("B") for name, asked in partitions.items() if name != "type")
    return {"size": f"{draw(st.integers(8192, 20000))}MiB" if free else None, "partitions": partitions}


firmwares = st.sampled_from(["bios", "uefi", "both"])
