# SPDX-License-Identifier: GPL-3.0-or-later
"""Results for tests: one made quickly, and hypothesis's any."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from task_lists import PACKAGES, TEXTS, VERSIONS

from debfleet.common.architectures import TABLE
from debfleet.results.paths import Place
from debfleet.results.result import FAILURE, SUCCESS, Failure, File, Line, Result

FAILED = Failure(
    stage="build",
    category="compile-error",
    cause="the compiler refuses the source",
    infrastructure=False,
    line="main.c:N:N: error: 'm' undeclared",
    signature="0123456789ab",
    lines=(Line(117, "main.c:1:31: error: 'm' undeclared"),),
)


def place(package: str = "hello", version: str = "2.10-5", run: str = "first", **fields: Any) -> Place:
    usual = {"run": run, "kind": "rebuild", "suite": "trixie", "arch": "amd64", "package": package, "version": version}
    return Place(**{**usual, **fields})


def result(where: Place | None = None, outcome: str = SUCCESS, **fields: Any) -> Result:
    usual: dict[str, Any] = {
        "place": where or place(),
        "attempt": 1,
        "outcome": outcome,
        "started": "2026-11-25T01:32:20Z",
        "finished": "2026-11-25T01:33:00Z",
        "seconds": 40.5,
        "node": "node-3",
        "failure": FAILED if outcome == FAILURE else None,
    }
    return Result(**{**usual, **fields})


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,10}", fullmatch=True)
PLACES = st.builds(
    Place,
    run=NAMES,
    kind=st.sampled_from(["rebuild", "instest"]),
    suite=NAMES,
    arch=st.sampled_from(sorted(TABLE)),
    package=PACKAGES,
    version=VERSIONS,
)
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
FILES = st.builds(File, file=TEXTS.filter(bool), size=st.integers(0, 1 << 40), sha256=HASHES)
FAILURES = st.builds(
    Failure,
    stage=TEXTS,
    category=TEXTS,
    cause=TEXTS,
    infrastructure=st.booleans(),
    line=TEXTS,
    signature=HASHES.map(lambda text: text[:12]),
    lines=st.lists(st.builds(Line, number=st.integers(1, 10**9), text=TEXTS), max_size=3).map(tuple),
)
MOMENTS = st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0"))
RESULTS = st.builds(
    Result,
    place=PLACES,
    attempt=st.integers(1, 9),
    outcome=st.just(FAILURE),
    started=MOMENTS,
    finished=MOMENTS,
    seconds=st.floats(0, 1e7),
    interruption=st.integers(0, 3),
    failure=st.none() | FAILURES,
    esttime=st.none() | st.integers(0, 10**6),
    peak_memory=st.none() | st.integers(1, 1 << 40),
    node=TEXTS,
    requester=TEXTS,
    packages=st.dictionaries(PACKAGES, VERSIONS, max_size=3),
    log=st.none() | FILES,
    artifacts=st.lists(FILES, max_size=2).map(tuple),
)
