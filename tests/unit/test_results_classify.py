# SPDX-License-Identifier: GPL-3.0-or-later
"""What failed, by a log. The logs of sbuild are real ones, cut down: what apt downloaded and unpacked isn't there."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debfleet.cli import main
from debfleet.common.errors import OK
from debfleet.results.classify import CLOSELY, STEMS, Report, classify
from debfleet.results.rules import RULES, UNKNOWN
from debfleet.results.signature import normalised, signature
from debfleet.results.text import clean

DATA = Path(__file__).parents[1] / "data/sbuild"
SCHEMAS = Path(__file__).parents[2] / "schemas"
MIB = 1 << 20
REAL = {
    "error": ("build", "compile-error", "twice.c:N: error: 'm' undeclared (first use in this function)"),
    "link": ("build", "link-error", "main.c:N: undefined reference to 'twice'"),
    "test": ("test", "test-failure", "dh_auto_test: error: make -jN test returned exit code N"),
    "dependencies": (
        "dependencies",
        "dependencies",
        "sbuild-build-depends-main-dummy : Depends: libdoes-not-exist-dev (>= N) but it is not installable",
    ),
}


def log(name: str) -> bytes:
    return (DATA / f"{name}.build").read_bytes()


def read(raw: bytes) -> Report:
    return classify(io.BytesIO(raw))


@pytest.mark.parametrize("name", REAL)
def test_a_real_failure(name: str) -> None:
    report = read(log(name))
    failure = report.failure
    assert failure and (failure.stage, failure.category, failure.line) == REAL[name]
    assert not failure.infrastructure and failure.cause
    lines = log(name).decode().split("\n")
    assert failure.lines and all(lines[line.number - 1] == line.text for line in failure.lines)
    assert report.lines == len(lines) - 1


def test_a_real_success() -> None:
    report = read(log("good"))
    assert report.failure is None and report.summary["Status"] == "successful"
    assert report.stage_seconds.keys() == {"dependencies", "build"} and report.disk and report.disk % 1024 == 0
    assert report.packages["adduser"] == "3.134"


def test_fields_may_say_nothing() -> None:
    report = read(log("dependencies"))
    assert report.summary["Build-Space"] == report.summary["Space"] == "n/a" and report.disk is None
    raw = log("error").replace(b"\nBuild-Time: ", b"\nBuild-Time: n/a")
    assert "build" not in read(raw).stage_seconds


INFRASTRUCTURE = {
    b"cc1: out of memory allocating 65536 bytes": "memory",
    b"c++: fatal error: Killed signal terminated program cc1plus": "memory",
    b"/usr/bin/ld: final link failed: No space left on device": "disk-full",
}


@pytest.mark.parametrize("line", INFRASTRUCTURE)
def test_infrastructure_is_told_apart(line: bytes) -> None:
    """Only near the end: a test may well try what a full disk does."""
    raw = log("error")
    at = raw.index(b"dh_auto_build: error")
    failure = read(raw[:at] + line + b"\n" + raw[at:]).failure
    assert failure and failure.infrastructure and failure.category == INFRASTRUCTURE[line]
    failure = read(raw[:at] + line + b"\n" + b"and so on\n" * 500 + raw[at:]).failure
    assert failure and not failure.infrastructure and failure.category == "compile-error"


def test_what_an_earlier_step_said_did_not_fail() -> None:
    raw = log("test").replace(b"   dh_auto_configure\n", b"   dh_auto_configure\nx.c:1:1: error: no such thing\n")
    failure = read(raw).failure
    assert failure and failure.category == "test-failure"


@pytest.mark.parametrize(
    "text, category",
    [
        (b"configure: error: zlib is needed", "configure-error"),
        (b"CMake Error at CMakeLists.txt:3 (find_package):", "configure-error"),
        (b"E: Build killed with signal TERM after 150 minutes of inactivity", "hang"),
        (b"FAILED (failures=1)", "test-failure"),
        (b"x.cpp:1:2: fatal error: y.h: No such file or directory", "compile-error"),
        (b"/bin/sh: 1: bison: not found", "missing-program"),
        (b"error[E0425]: cannot find value", "compile-error"),
        (b"dpkg-gensymbols: error: some symbols or patterns disappeared in the symbols file", "symbols"),
        (b"1 out of 1 hunk FAILED -- saving rejects to file main.c.rej", "patch"),
        (b"make: *** [Makefile:1: all] Error 2", "command-failed"),
        (b"nothing of note", UNKNOWN),
    ],
)
def test_a_plain_log(text: bytes, category: str) -> None:
    failure = read(b"begin\n" + text + b"\nthe end\n").failure
    assert failure and failure.category == category and failure.stage == "build"


def test_every_needle_has_a_stem() -> None:
    assert not [needle for rule in RULES for needle in rule.needles if not any(stem in needle for stem in STEMS)]


def test_an_empty_log_is_unknown() -> None:
    failure = read(b"").failure
    assert failure and failure.category == UNKNOWN and failure.lines == ()


HOSTILE = {
    "one line": b"a" * (3 * MIB),
    "no text": os.urandom(MIB // 4),
    "zeros": b"\0" * MIB,
    "errors": b"x: error: y\n" * 50_000,
    "steps": b"   dh_auto_test\n   dh_auto_build\n" * 10_000,
    "edges": (b"+" + b"-" * 78 + b"+\n| Build" + b" " * 72 + b"|\n") * 2_000,
    "tests": b"FAIL: dh_ Error not ok E: \n" * 20_000,
    "slow": b"dpkg-source: error: " + b"patch Depends: " * 40 + b"\n",
    "escapes": b"\x1b]0;title\x07\x1b[31m<script>alert(1)</script>\xff\xfe\n" * 1000,
    "returns": b"\r".join(b"%d %%" % number for number in range(50_000)) + b"\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_log_takes_little_memory_and_hides_nothing(name: str) -> None:
    raw = log("error")
    at = raw.index(b"cc -g")
    whole = raw[:at] + HOSTILE[name] + b"\n" + raw[at:]
    tracemalloc.start()
    failure = read(whole).failure
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert failure and failure.stage in ("build", "test") and failure.lines
    assert peak < 24 * MIB
    assert all(clean(line.text) == line.text and "\x1b" not in line.text for line in failure.lines)
    if name in ("one line", "no text", "zeros", "escapes", "returns", "errors"):
        assert failure.category == "compile-error"


def test_beyond_the_lines_that_are_looked_at_the_end_still_tells() -> None:
    raw = log("test")
    at = raw.index(b"   dh_auto_test\n")
    many = b"this failed, or did not \n" * (CLOSELY + 10)
    failure = read(raw[:at] + many + raw[at:]).failure
    assert failure and failure.category == "test-failure"


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=3000), st.integers(1, 400))
def test_reading_in_other_pieces_changes_nothing(noise: bytes, size: int) -> None:
    raw = log("link")
    at = raw.index(b"cc -g")
    whole = raw[:at] + noise + b"\n" + raw[at:]

    class Pieces(io.BytesIO):
        def read(self, most: int | None = -1, /) -> bytes:
            return super().read(size)

    assert classify(Pieces(whole)) == read(whole)


SAME = (
    "{path}main.c:{number}:5: error: ‘m’ undeclared",
    "{time} worker {number}: test {path}suite.t failed, wanted {hash}, had {hash}",
    "ld: /tmp/{name}.o: in function `f': {path}x.c:{number}: undefined reference to `g'",
    "assertion at 0x{hash} failed after {number}.{number} s",
)
VARIED = st.fixed_dictionaries(
    {
        "path": st.sampled_from(
            ["", "/build/hello-Ab3dEf/hello-2.10/", "/<<PKGBUILDDIR>>/", "./", "../../src/", "a/b/"]
        ),
        "number": st.integers(0, 10**9),
        "hash": st.text("0123456789abcdef", min_size=6, max_size=30).map(lambda text: f"a1{text}"),
        "time": st.sampled_from(["2026-11-25T01:50:20Z", "2025-01-02 13:14:15.678", "2024-12-31T00:00:00Z"]),
        "name": st.text("abcdefXYZ0123", min_size=6, max_size=6),
    }
)


@settings(deadline=None)
@given(st.sampled_from(SAME[:1] + SAME[2:]), VARIED, VARIED)
def test_the_same_failure_elsewhere_has_the_same_line(line: str, one: dict[str, str], other: dict[str, str]) -> None:
    assert normalised(line.format(**one)) == normalised(line.format(**other))


@settings(deadline=None)
@given(st.text(max_size=200))
def test_normalising_ends_and_leaves_no_numbers(text: str) -> None:
    line = normalised(text)
    assert len(line) <= 200 and not any(letter in "0123456789" for letter in line)
    assert clean(line) == line


def test_other_failures_have_other_signatures() -> None:
    lines = [normalised(text) for text in ("main.c:1: error: 'm' undeclared", "main.c:1: error: 'n' undeclared")]
    assert len({signature("build", "compile-error", line) for line in lines}) == 2
    assert signature("build", "x", "y") != signature("test", "x", "y") != signature("tes", "tx", "y")


def test_at_the_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", "classify", str(DATA / "link.build")]) == OK
    shown = capsys.readouterr().out
    assert "link-error, the package's own" in shown and "undefined reference to `twice'" in shown
    assert main(["results", "classify", str(DATA / "good.build")]) == OK
    assert capsys.readouterr().out == "nothing failed, by the log's Summary\n"
    assert main(["results", "classify", str(DATA / "link.build"), "--json"]) == OK
    told = json.loads(capsys.readouterr().out)
    jsonschema.validate(told, json.loads((SCHEMAS / "result-classify.json").read_text()))
    defs = json.loads((SCHEMAS / "result.json").read_text())["$defs"]
    jsonschema.validate(told["failure"], defs["failure"])
