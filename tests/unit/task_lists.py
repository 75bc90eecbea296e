# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks for tests: one made quickly, and hypothesis's any."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from debfleet.common.architectures import TABLE
from debfleet.tasks.task import CLASSES, Task


def task(package: str = "hello", version: str = "1.0-1", **fields: Any) -> Task:
    usual = {"kind": "rebuild", "suite": "trixie", "arch": "amd64", "package": package, "version": version}
    return Task(**{**usual, **fields})


PACKAGES = st.from_regex(r"[a-z0-9][a-z0-9+.-]{0,8}", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9][0-9a-zA-Z.+~:-]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=12)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "parallel": st.integers(1, 64),
        "nocheck": st.booleans(),
        "compiler": st.sampled_from(["gcc-15", "clang-19"]),
        "profiles": st.lists(st.sampled_from(["nocheck", "nodoc"]), max_size=2),
    },
)
TASKS = st.builds(
    Task,
    kind=st.just("rebuild"),
    suite=st.sampled_from(["trixie", "sid"]),
    arch=st.sampled_from(sorted(TABLE)),
    package=PACKAGES,
    version=VERSIONS,
    esttime=st.integers(0, 10**6),
    esttime_from=st.sampled_from(["database", "results", "size", "unknown", "given"]),
    memory=st.none() | st.integers(1, 1 << 40),
    size_class=st.sampled_from(CLASSES),
    logfile=st.sampled_from(["", "logs/x.log", "a/{attempt}/log.zst"]),
    options=OPTIONS,
    requester=TEXTS,
    cause=TEXTS,
    run=st.sampled_from(["", "first", "gcc-15"]),
)
