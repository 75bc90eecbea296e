# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes that a phase asks for: checked when asked, made in order, and named when they fail."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from debfleet.common.changes import apply as making
from debfleet.common.changes import files
from debfleet.common.changes.request import Request, Tree, read
from debfleet.common.changes.table import KINDS
from debfleet.common.errors import DebfleetError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other owners")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nann:x:1001:\n")
    return Tree(root)


@needs_root
def test_a_file_is_written_with_its_folders_mode_and_owner(tree: Tree) -> None:
    files.write_files(tree, [{"path": "/a/b/c", "content": "x", "mode": "4755", "owner": "ann", "group": "ann"}])
    made = (tree.root / "a/b/c").stat()
    assert (made.st_mode & 0o7777, made.st_uid, made.st_gid) == (0o4755, 1000, 1001)
    assert (tree.root / "a/b").stat().st_mode & 0o777 == 0o755


@needs_root
def test_a_folder_is_copied_and_what_was_there_keeps_its_owner(tree: Tree, tmp_path: Path) -> None:
    source = tmp_path / "overlay"
    (source / "deep").mkdir(parents=True)
    (source / "deep/new").write_text("n")
    (source / "link").symlink_to("deep/new")
    theirs = tree.root / "srv/theirs"
    theirs.parent.mkdir()
    theirs.write_text("t")
    os.chown(theirs, 1000, 1001)
    files.write_files(tree, [{"path": "/srv", "source": str(source)}])
    assert (tree.root / "srv/deep/new").read_text() == "n"
    assert os.readlink(tree.root / "srv/link") == "deep/new"
    assert theirs.stat().st_uid == 1000


@needs_root
def test_no_link_of_the_tree_leads_out_of_it(tree: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tree.root / "out").symlink_to("/../../outside")
    (tree.root / "outside").mkdir()
    (tree.root / "etc/motd").symlink_to(outside / "motd")
    files.write_files(tree, [{"path": "/out/f", "content": "x"}, {"path": "/etc/motd", "content": "m"}])
    assert list(outside.iterdir()) == []
    assert (tree.root / "outside/f").read_text() == "x"
    assert (tree.root / "etc/motd").read_text() == "m"


def test_what_is_removed_and_emptied_is_what_matches_inside_the_tree(tree: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "log").write_text("keep")
    (tree.root / "logs").symlink_to(outside)
    (tree.root / "log").mkdir()
    for name in ("a.log", "b.log", "c"):
        (tree.root / "log" / name).write_text(name)
    files.remove(tree, ["/log/*.log", "/logs/*", "/nothing/*"])
    files.empty(tree, ["/log/*"])
    assert [path.name for path in (tree.root / "log").iterdir()] == ["c"]
    assert (tree.root / "log/c").read_text() == ""
    assert (outside / "log").read_text() == "keep"


@needs_root
def test_a_link_takes_the_place_of_what_was_there(tree: Tree) -> None:
    for target in ("/usr/share/zoneinfo/UTC", "../b"):
        files.make_links(tree, [{"path": "/etc/localtime", "target": target}])
        assert os.readlink(tree.root / "etc/localtime") == target


BAD = [
    ("files", [{"path": "etc/x", "content": ""}], "no absolute path"),
    ("files", [{"path": "/a/../../etc/x", "content": ""}], "no absolute path"),
    ("files", [{"path": "/x"}], "either content or source"),
    ("files", [{"path": "/x", "content": "", "source": "/y"}], "either content or source"),
    ("files", [{"path": "/x", "content": "", "mode": "rwx"}], "octal"),
    ("files", [{"path": "/x", "content": "", "permission": "0644"}], "unknown permission"),
    ("files", {"path": "/x"}, "list of files"),
    ("remove", ["*"], "no absolute path"),
    ("links", [{"path": "/x"}], "needs target"),
    ("commands", ["apt-get update"], "argument lists"),
    ("commands", [[]], "at least one word"),
    ("services", {"start": ["ssh"]}, "unknown start"),
    ("users", [{"name": "x;reboot"}], "no user name"),
    ("users", [{"name": "x\n"}], "no user name"),
    ("users", [{"name": "x", "password-crypted": "a:b"}], "crypt"),
    ("timezone", "../../etc/passwd", "no time zone"),
    ("hostname", "a b", "no host name"),
    ("locale", {"locale": "en_US; reboot", "charmap": "UTF-8"}, "no locale"),
    ("initramfs", False, "must be true"),
    ("packages", "sudo", "list of package names"),
]


@pytest.mark.parametrize(("kind", "value", "why"), BAD)
def test_a_bad_wish_is_refused_when_it_is_asked_for(kind: str, value: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        KINDS[kind].check(value)


@needs_root
def test_changes_are_made_in_order_until_one_fails_and_that_one_is_named(tree: Tree) -> None:
    requests = [
        Request("plugin_a", "Write a", "files", [{"path": "/a", "content": "1"}]),
        Request("plugin_b", "Give it away", "files", [{"path": "/b", "content": "1", "owner": "nobody-here"}]),
        Request("plugin_c", "Write c", "files", [{"path": "/c", "content": "1"}]),
    ]
    with pytest.raises(DebfleetError) as caught:
        making.apply(tree, requests)
    assert caught.value.where == "plugin_b: Give it away"
    assert (tree.root / "a").exists()
    assert not (tree.root / "c").exists()


def test_requests_for_packages_that_follow_each_other_become_one() -> None:
    requests = [
        Request("a", "A", "packages", ["x", "y"]),
        Request("b", "B", "packages", ["y", "z"]),
        Request("c", "C", "timezone", "UTC"),
        Request("d", "D", "packages", ["w"]),
    ]
    merged = making.merged(requests)
    assert [request.value for request in merged] == [["x", "y", "z"], "UTC", ["w"]]
    assert merged[0].task == "a: A; b: B"


def test_what_dpkg_leaves_out_comes_before_all_packages_and_does_not_part_them() -> None:
    kinds = ("packages", "path_filter", "packages", "files")
    requests = [Request("role", kind, kind, [kind]) for kind in kinds]
    assert [request.kind for request in making.merged(requests)] == ["path_filter", "packages", "files"]


def test_requests_survive_being_written_down(tmp_path: Path) -> None:
    request = Request("plugin_ä", 'Say "hello"\n', "files", [{"path": "/ü", "content": "\t\n"}])
    (tmp_path / "phase").write_text(request.to_line() * 2, encoding="utf-8")
    assert list(read(tmp_path / "phase")) == [request, request]
    assert list(read(tmp_path / "none")) == []
