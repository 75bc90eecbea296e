# SPDX-License-Identifier: GPL-3.0-or-later
"""The mirror rule, as pure decisions: which sources a build uses, and which its image is given."""

from __future__ import annotations

import pytest

from debfleet.common.bootstrap import apt, mirror
from debfleet.common.bootstrap.mirror import Builder, Entry, Wish, plan
from debfleet.common.bootstrap.sources import Source, parse_lines
from debfleet.common.errors import DebfleetError

OWN = Builder(
    (
        Entry("http://own.example/debian", "bookworm", "Debian", "/own.gpg"),
        Entry("http://own.example/debian", "bookworm-updates", "Debian", "/own.gpg"),
        Entry("http://own.example/guard", "bookworm-security", "Debian-Security", "/own.gpg"),
    ),
    ('Acquire::http::Proxy "http://proxy.example";',),
)
DEFAULT = tuple(
    parse_lines("""
    deb http://tool.example/debian trixie main
    deb http://tool.example/debian trixie-updates main
    deb http://tool.example/debian-security trixie-security main
    """)
)


def pairs(sources: tuple[Source, ...] | list[Source]) -> list[str]:
    return [f"{source.uri} {source.suite}" for source in sources]


def test_the_builders_mirror_serves_any_suite_and_stays_out_of_the_image() -> None:
    made = plan(Wish("trixie"), OWN, DEFAULT)
    assert made.origin == "builder" and made.settings == OWN.settings
    assert pairs([made.needed]) == ["http://own.example/debian trixie"]
    assert [pairs(pocket) for pocket in made.pockets] == [
        ["http://own.example/debian trixie-updates"],
        ["http://own.example/guard trixie-security"],
    ]
    assert made.needed.signed_by == "/own.gpg"
    assert pairs(made.image) == pairs(DEFAULT)


def test_the_manifests_mirror_is_used_without_the_builders_settings() -> None:
    made = plan(Wish("trixie", mirror="http://m.example/debian/"), OWN, DEFAULT)
    assert made.origin == "manifest" and made.settings == ()
    assert pairs([made.needed, *(pocket[0] for pocket in made.pockets)]) == [
        "http://m.example/debian trixie",
        "http://m.example/debian trixie-updates",
        "http://m.example/debian-security trixie-security",
    ]
    assert pairs(made.image) == [
        "http://m.example/debian trixie",
        "http://m.example/debian trixie-updates",
        "http://tool.example/debian-security trixie-security",
    ]


def test_the_bootstrap_mirror_is_for_building_only() -> None:
    made = plan(
        Wish("trixie", bootstrap_mirror="http://near.example/debian", security="http://s.example/s"), OWN, DEFAULT
    )
    assert made.needed.uri == "http://near.example/debian"
    assert pairs(made.pockets[1]) == ["http://s.example/s trixie-security"]
    assert pairs(made.image)[::2] == ["http://tool.example/debian trixie", "http://s.example/s trixie-security"]


def test_the_tools_default_is_the_last() -> None:
    made = plan(Wish("trixie"), Builder(), DEFAULT)
    assert made.origin == "tool"
    assert pairs([made.needed, *(pocket[0] for pocket in made.pockets)]) == pairs(DEFAULT)
    with pytest.raises(DebfleetError, match="no mirror is known"):
        plan(Wish("trixie"), Builder(), ())


@pytest.mark.parametrize("suite", ["sid", "unstable"])
def test_sid_has_no_pockets(suite: str) -> None:
    made = plan(Wish(suite), OWN, DEFAULT)
    assert (made.pockets, len(made.image)) == ((), 1)


def test_keyring_and_no_check() -> None:
    made = plan(Wish("trixie", keyring="/k.gpg", components=("main", "contrib")), OWN, DEFAULT)
    assert made.needed.line() == "deb [signed-by=/k.gpg] http://own.example/debian trixie main contrib"
    made = plan(Wish("trixie", no_check=True), OWN, DEFAULT)
    assert "trusted=yes" in made.needed.line()
    assert not made.image[0].options


def test_the_builders_entry_of_the_suite_itself_comes_first() -> None:
    builder = Builder((*OWN.entries, Entry("http://new.example/debian", "trixie", "Debian", "")))
    assert plan(Wish("trixie"), builder, DEFAULT).needed.uri == "http://new.example/debian"
    assert plan(Wish("sid"), builder, DEFAULT).needed.uri == "http://own.example/debian"


def test_targets_of_the_builder() -> None:
    text = "\n".join(
        [
            "http://own.example/debian/|bookworm|Debian|main|/nowhere.sources:1|Packages",
            "http://own.example/debian/|bookworm|Debian|contrib|/nowhere.sources:1|Packages",
            "http://own.example/debian/|bookworm|Debian|main|/nowhere.sources:1|Translations",
            "http://own.example/debian-security/|bookworm-security|$(LABEL)|main|/nowhere.list:2|Packages",
            "http://other.example/apt/|bookworm|Other|main|/nowhere.list:3|Packages",
            "http://flat.example/debian/|./|Debian||/nowhere.list:3|Packages",
        ]
    )
    entries = mirror.parse_targets(text)
    assert [(entry.uri, entry.release, entry.security) for entry in entries] == [
        ("http://own.example/debian", "bookworm", False),
        ("http://own.example/debian-security", "bookworm-security", True),
    ]


def test_settings_of_the_builder() -> None:
    dump = """
Acquire "";
Acquire::Check-Valid-Until "false";
Acquire::http "";
Acquire::http::Proxy "http://user:word@proxy.example:3128/";
Acquire::https::Verify-Peer "false";
Acquire::Languages:: "none";
Acquire::GzipIndexes "true";
APT::Install-Recommends "1";
Dir "/";
"""
    settings = mirror.parse_settings(dump)
    assert settings == (
        'Acquire::Check-Valid-Until "false";',
        'Acquire::http::Proxy "http://user:word@proxy.example:3128/";',
        'Acquire::https::Verify-Peer "false";',
    )
    told = "\n".join(mirror.told(plan(Wish("trixie"), Builder(OWN.entries, settings), DEFAULT)))
    assert "proxy.example:3128" in told and "word" not in told and "Verify-Peer" in told


def test_the_manifests_proxy_takes_the_place_of_the_builders() -> None:
    more = Builder(OWN.entries, (*OWN.settings, 'Acquire::https::Proxy::a.example "DIRECT";', 'Acquire::Retries "5";'))
    made = plan(Wish("trixie", proxy="http://u:p%40ss@10.0.0.1:3142"), more, DEFAULT)
    assert made.held == ('Acquire::Retries "5";', 'Acquire::http::Proxy "http://u:p%40ss@10.0.0.1:3142";')
    said = "\n".join(mirror.told(made))
    assert "p%40ss" not in said and "@10.0.0.1:3142" in said
    assert plan(Wish("trixie"), more, DEFAULT).held == more.settings
    stated = plan(Wish("trixie", mirror="http://m.example", proxy="http://10.0.0.1:1"), OWN, DEFAULT)
    assert stated.held == ('Acquire::http::Proxy "http://10.0.0.1:1";',)


def test_the_credentials_of_addresses_are_known_as_written_and_as_meant() -> None:
    assert mirror.credentials('x "http://u:p%40ss@h:1"; https://t@h/') == ("u:p%40ss", "t", "p%40ss", "p@ss")
    assert mirror.credentials("http://h:1/a@b") == ()


@pytest.mark.parametrize(
    ("settings", "proxy"),
    [
        (['Acquire::http::Proxy "http://a:1";', 'Acquire::http::Proxy "http://b:2";'], "http://b:2"),
        (['Acquire::http::Proxy "DIRECT";'], ""),
        (['Acquire::http::Proxy::host "http://a:1";', 'Acquire::https::Proxy "http://a:1";'], ""),
    ],
)
def test_the_proxy_for_tools_that_know_nothing_of_apts_settings(settings: list[str], proxy: str) -> None:
    assert apt.proxy(settings) == proxy
