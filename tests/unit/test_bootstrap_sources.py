# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of apt's sources, read and written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debfleet.common.bootstrap.sources import Source, parse_line, parse_lines, signed_by_of, stanza

WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789.-", min_size=1, max_size=12)
SOURCES = st.builds(
    Source,
    uri=WORD.map(lambda word: f"http://{word}"),
    suite=WORD,
    components=st.lists(WORD, min_size=1, max_size=3).map(tuple),
    signed_by=st.sampled_from(["", "/usr/share/keyrings/a.gpg"]),
    options=st.lists(st.tuples(st.sampled_from(["arch", "trusted"]), WORD), max_size=2).map(tuple),
    kind=st.sampled_from(["deb", "deb-src"]),
)


@given(SOURCES)
def test_a_line_reads_back(source: Source) -> None:
    assert parse_line(source.line()) == source


@pytest.mark.parametrize(
    "line", ["", "deb", "deb http://x", "deb http://x suite", "dbe http://x suite main", "# deb a b c"]
)
def test_what_is_no_entry_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="apt's sources|no component"):
        parse_line(line)


def test_a_flat_repository_and_comments() -> None:
    text = "# all\n\ndeb http://x/ ./ # flat\ndeb [ arch=amd64 signed-by=/k ] http://y/ one main\n"
    assert parse_lines(text) == [
        Source("http://x", "./"),
        Source("http://y", "one", ("main",), "/k", (("arch", "amd64"),)),
    ]


def test_a_stanza() -> None:
    base = Source("http://x", "one", ("main", "contrib"))
    group = [base, Source("http://x", "one-updates", base.components)]
    assert stanza(group, "/k.gpg") == (
        "Types: deb\nURIs: http://x\nSuites: one one-updates\nComponents: main contrib\nSigned-By: /k.gpg\n"
    )


def test_the_key_of_an_entry(tmp_path: Path) -> None:
    both = tmp_path / "a.sources"
    both.write_text("Types: deb\n# Signed-By: /no\nURIs: http://x\nSigned-By: /a.gpg\n\nTypes: deb\nURIs: http://y\n")
    lines = tmp_path / "b.list"
    lines.write_text("# first\ndeb [signed-by=/b.gpg] http://x one main # more\n")
    assert [signed_by_of(f"{both}:1"), signed_by_of(f"{both}:2"), signed_by_of(f"{lines}:2")] == [
        "/a.gpg",
        "",
        "/b.gpg",
    ]
    assert signed_by_of(f"{lines}:1") == signed_by_of("/nowhere.list:1") == signed_by_of(f"{both}:9") == ""
