# SPDX-License-Identifier: GPL-3.0-or-later
"""apt's lists cut down: all that what is wanted may need stays, whole and in order, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from debfleet.common.bootstrap import nearby
from debfleet.common.bootstrap.apt import Apt
from debfleet.common.bootstrap.variant import Tree, base_set

MAIN = """\
Package: base
Version: 1
Essential: yes
Depends: shell | other-shell (>= 2),
 folded

Package: shell
Version: 1

Package: other-shell
Version: 2

Package: folded
Version: 1

Package: needed
Priority: required
Version: 1
Pre-Depends: awk:any

Package: mawk
Version: 1
Provides: unrelated, awk (= 1)

Version: 1
Package: gawk
Provides: awk

Package: tool
Version: 1
Depends: lib [amd64]
Recommends: liked

Package: liked
Version: 1

Package: lib
Version: 1

Package: usual
Priority: standard
Version: 1

Package: far
Version: 1
Provides: farther
"""
MORE = """\
Package: tool
Version: 2
Depends: lib, newer

Package: newer
Version: 1
Breaks: far

Package: apt
Version: 1
"""


@pytest.fixture
def apt(tmp_path: Path) -> Apt:
    lists = tmp_path / "apt/lists"
    lists.mkdir(parents=True)
    (lists / "m_InRelease").write_text("Suite: trixie\n")
    (lists / "m_main_Packages").write_text(MAIN)
    (lists / "m_more_Packages").write_text(MORE)
    (lists / "m_empty_Packages").write_text("")
    return Apt(tmp_path / "apt", "amd64", "trixie")


TREE = Tree(Path("/"), "trixie", "amd64")


def names(apt: Apt, index: str) -> list[str]:
    text = (apt.folder / apt.lists / index).read_text()
    return [line.partition(": ")[2] for line in text.splitlines() if line.startswith("Package:")]


def test_what_may_be_needed_stays_whole_and_in_order(apt: Apt) -> None:
    near = nearby.near(apt, TREE, ["tool=1"])
    assert near and near.lists == "near" and (near.folder / "near/m_InRelease").exists()
    assert names(near, "m_main_Packages") == [
        *("base", "shell", "other-shell", "folded", "needed", "mawk", "gawk", "tool", "lib")
    ]
    assert names(near, "m_more_Packages") == ["tool", "newer", "apt"] and names(near, "m_empty_Packages") == []
    text = (near.folder / "near/m_main_Packages").read_text()
    assert all(f"{stanza}\n\n" in text for stanza in MAIN.split("\n\n")[:8])


@pytest.mark.parametrize(
    ("asked", "how", "more"),
    [
        (["tool/trixie"], {"recommends": True}, {"liked"}),
        (["tool"], {"standard": True}, {"usual"}),
        (["farther"], {}, {"far"}),
    ],
)
def test_what_is_liked_usual_or_provided_is_reached_where_it_counts(
    apt: Apt, asked: list[str], how: dict[str, bool], more: set[str]
) -> None:
    asking = Apt(apt.folder, "amd64", "trixie", recommends=how.get("recommends", False))
    near = nearby.near(asking, TREE, asked, standard=how.get("standard", False))
    assert near and more <= set(names(near, "m_main_Packages"))
    assert not {"liked", "usual", "far"} - more & set(names(near, "m_main_Packages"))


@pytest.mark.parametrize("asked", ["nowhere", "to*", "tool-", "/srv/tool.deb"])
def test_what_only_the_whole_lists_can_tell_is_left_to_them(apt: Apt, asked: str) -> None:
    assert nearby.near(apt, TREE, [asked]) is None


def test_compressed_lists_are_left_as_they_are(apt: Apt) -> None:
    (apt.folder / "lists/n_main_Packages.lz4").touch()
    assert nearby.near(apt, TREE, ["tool"]) is None
    nearby.note(apt, ["tool"], ["tool"])
    assert nearby.chosen(apt, ["tool"]) == apt


def test_only_what_was_resolved_is_left(apt: Apt) -> None:
    words = [*base_set(TREE), "tool=2"]
    assert nearby.chosen(apt, words) == apt  # nothing was resolved
    nearby.note(apt, words, ["tool", "lib", "gawk", "local"])
    chosen = nearby.chosen(apt, ["tool=2", "lib"])
    assert names(chosen, "m_main_Packages") == ["gawk", "tool", "lib"]
    assert names(chosen, "m_more_Packages") == ["tool"]
    assert nearby.chosen(apt, words) == chosen
    assert nearby.chosen(apt, ["tool", "other"]) == apt  # that was not asked for then
    nearby.note(apt, ["far"], ["far"])
    assert names(nearby.chosen(apt, ["far"]), "m_main_Packages") == ["far"]


def test_an_index_of_any_order_is_read_in_stanzas(tmp_path: Path) -> None:
    path = tmp_path / "x_Packages"
    path.write_text("Version: 1\nPackage: a\nProvides: x\n\n\nPackage: b\nProvides: y\n\nProvides: z\nPackage: c")
    index = nearby.Index.of(path)
    assert index.names == (b"a", b"b", b"c")
    assert [index.stanza(number) for number in range(3)] == [
        b"Version: 1\nPackage: a\nProvides: x",
        b"Package: b\nProvides: y",
        b"Provides: z\nPackage: c",
    ]
    assert nearby.Universe.of(tmp_path).providers == {b"x": [b"a"], b"y": [b"b"], b"z": [b"c"]}
