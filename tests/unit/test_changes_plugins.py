# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes that plugins brought: an overlay, debconf's answers, and what pip of the builder lends."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debfleet.common.changes import files, overlay, pip_settings, preseed
from debfleet.common.changes.request import Tree
from debfleet.common.changes.table import KINDS
from debfleet.common.errors import DebfleetError
from debfleet.common.manifest.formats import SELECTION_TYPES, is_selections

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other owners")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nann:x:1001:\nadm:x:4:\n")
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    return Tree(root)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "overlay"
    (folder / "etc/app").mkdir(parents=True, mode=0o750)
    (folder / "etc/app/conf").write_text("x")
    (folder / "lib/app").mkdir(parents=True)
    (folder / "lib/app/tool").write_text("#!/bin/sh\n")
    (folder / "lib/app/tool").chmod(0o755)
    (folder / "etc/app/link").symlink_to("/nowhere/else")
    folder.chmod(0o700)
    (folder / "etc").chmod(0o700)
    return folder


def seen(path: Path) -> tuple[int, int, int]:
    about = path.lstat()
    return stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid


@needs_root
def test_what_is_new_has_the_sources_mode_and_what_is_there_keeps_its_own(tree: Tree, source: Path) -> None:
    (tree.root / "etc").chmod(0o755)
    tree.root.chmod(0o755)
    overlay.lay_over(tree, {"source": str(source), "group": "adm"})
    assert seen(tree.root) == (0o755, 0, 0) and seen(tree.root / "etc") == (0o755, 0, 0)
    assert seen(tree.root / "etc/app") == (0o750, 0, 4)
    assert (tree.root / "etc/app/conf").read_text() == "x"
    assert os.readlink(tree.root / "etc/app/link") == "/nowhere/else"


@needs_root
def test_a_link_to_a_folder_is_followed_inside_the_tree_and_stays(tree: Tree, source: Path) -> None:
    overlay.lay_over(tree, {"source": str(source)})
    assert (tree.root / "lib").is_symlink()
    assert seen(tree.root / "usr/lib/app/tool") == (0o755, 0, 0)


@needs_root
def test_of_the_rules_the_last_that_says_something_counts(tree: Tree, source: Path) -> None:
    rules = [
        {"path": "/etc/*", "mode": "0600", "owner": "ann"},
        {"path": "/etc/app/con?", "mode": "4711", "group": "ann", "owner": None},
    ]
    overlay.lay_over(tree, {"source": str(source), "rules": rules})
    assert seen(tree.root / "etc/app/conf") == (0o4711, 1000, 1001)
    assert seen(tree.root / "etc/app")[:2] == (0o600, 1000)
    assert (tree.root / "etc/app/link").lstat().st_uid == 1000


@needs_root
@pytest.mark.parametrize("kind", ["overlay", "files"])
def test_nothing_is_written_through_a_link_that_leads_out(tree: Tree, tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("theirs")
    (tree.root / "etc/file").symlink_to(outside / "file")
    (tree.root / "etc/hard").write_text("one name")
    os.link(tree.root / "etc/hard", tree.root / "etc/other")
    source = tmp_path / "mine"
    (source / "etc").mkdir(parents=True)
    for name in ("file", "hard"):
        (source / "etc" / name).write_text("mine")
    if kind == "overlay":
        overlay.lay_over(tree, {"source": str(source)})
    else:
        files.write_files(tree, [{"path": "/", "source": str(source)}])
    assert (outside / "file").read_text() == "theirs"
    assert (tree.root / "etc/file").read_text() == "mine" and not (tree.root / "etc/file").is_symlink()
    assert (tree.root / "etc/other").read_text() == "one name"


@needs_root
def test_a_link_of_the_tree_that_leads_out_ends_inside_it(tree: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tree.root / "srv").symlink_to(f"/../{outside}")
    source = tmp_path / "mine"
    (source / "srv").mkdir(parents=True)
    (source / "srv/file").write_text("mine")
    with pytest.raises(DebfleetError, match="is a folder, and /srv of the image is not"):
        overlay.lay_over(tree, {"source": str(source)})
    assert list(outside.iterdir()) == []


@needs_root
def test_what_does_not_fit_is_refused_before_anything_is_written(tree: Tree, source: Path) -> None:
    (source / "zzz").mkdir()
    (tree.root / "zzz").write_text("a file")
    with pytest.raises(DebfleetError, match="/zzz of the image is not"):
        overlay.lay_over(tree, {"source": str(source)})
    assert not (tree.root / "etc/app").exists()
    (tree.root / "zzz").unlink()
    with pytest.raises(DebfleetError, match="nothing that is /etc/typo"):
        overlay.lay_over(tree, {"source": str(source), "rules": [{"path": "/etc/typo", "mode": "0600"}]})
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(source / "etc/socket"))
    with pytest.raises(DebfleetError, match="can't be copied"):
        overlay.lay_over(tree, {"source": str(source)})
    assert not (tree.root / "etc/app").exists()


BAD = [
    ("overlay", {"source": "/x", "rules": [{"path": "/../etc", "mode": "0600"}]}, "no absolute path"),
    ("overlay", {"source": "/x", "rules": [{"path": "etc", "mode": "0600"}]}, "no absolute path"),
    ("overlay", {"source": "/x", "rules": [{"path": "/etc", "mode": "rw"}]}, "octal"),
    ("overlay", {"source": "/x", "rules": [{"path": "/etc", "permissions": "0600"}]}, "unknown permissions"),
    ("overlay", {}, "needs source"),
    ("overlay", "/x", "mapping"),
    ("debconf", "tzdata tzdata/Areas", "OWNER QUESTION TYPE VALUE"),
    ("debconf", ["a b string c"], "OWNER QUESTION TYPE VALUE"),
    ("pip", {"packages": ["--index-url=http://x"]}, "no requirement"),
    ("pip", {"packages": ["six"], "venv": "opt"}, "no absolute path"),
    ("pip", ["six"], "mapping"),
    ("pip", {"packages": ["six"], "index": "x"}, "unknown index"),
]


@pytest.mark.parametrize(("kind", "value", "why"), BAD)
def test_a_bad_wish_is_refused_when_it_is_asked_for(kind: str, value: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        KINDS[kind].check(value)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a b/c string d\n", True),
        ("# only\n\na\tb/c  boolean\ttrue", True),
        ("a b/c select one \\\n two\n", True),
        ("a b/c note\n", True),
        ("d-i b/c password secret\n", True),
        ("a b/c strin d\n", False),
        ("a b/c\n", False),
        ("# only a comment\n", False),
        ("a b/c string d\nnonsense\n", False),
    ],
)
def test_answers_of_debconf(text: str, right: bool) -> None:
    assert is_selections(text) is right


WORD = st.text("abcdefghijklmnopqrstuvwxyz/-.0123456789", min_size=1)


@given(WORD, WORD, st.sampled_from(SELECTION_TYPES.split("|")), st.text("abc #\\\"'$é", max_size=20))
def test_any_value_may_be_an_answer(owner: str, question: str, kind: str, value: str) -> None:
    assert is_selections(f"{owner} {question} {kind} {value}x\n")


def test_without_debconf_the_image_cannot_be_answered(tree: Tree) -> None:
    with pytest.raises(DebfleetError, match="no debconf"):
        preseed.preseed(tree, "a b string c")


@pytest.fixture
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own settings out of the way."""
    monkeypatch.setattr(pip_settings, "ETC", tmp_path / "etc")
    monkeypatch.setattr(pip_settings.sys, "prefix", str(tmp_path / "prefix"))


@pytest.mark.usefixtures("_no_settings")
def test_pips_settings_come_from_files_and_environment_and_only_those_about_getting(tmp_path: Path) -> None:
    home, own = tmp_path / "home", tmp_path / "own.conf"
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/pip/pip.conf").write_text(
        "[global]\nindex-url = http://low.example/simple\ntimeout = 3\nconstraint = /x\n"
        "[install]\nextra_index_url =\n  http://one.example\n  http://two.example\nno-warn-script-location = 1\n"
    )
    own.write_text("[global]\nretries = 7\n")
    environment = {
        "HOME": str(home), "PIP_CONFIG_FILE": str(own), "PIP_INDEX_URL": "http://u:p%40ss@high.example/simple",
        "PIP_DEFAULT_TIMEOUT": "9", "XDG_CONFIG_DIRS": str(tmp_path / "none"), "REQUESTS_CA_BUNDLE": "/ca.pem",
    }  # fmt: skip
    found = pip_settings.read(environment)
    assert found["index-url"] == "http://u:p%40ss@high.example/simple"
    assert found["extra-index-url"].split() == ["http://one.example", "http://two.example"]
    assert (found["timeout"], found["retries"], found["cert"]) == ("9", "7", "/ca.pem")
    assert "constraint" not in found and "no-warn-script-location" not in found
    assert set(pip_settings.secrets(found)) == {"u:p%40ss", "p%40ss", "p@ss"}


@pytest.mark.usefixtures("_no_settings")
def test_with_no_files_there_is_only_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip/pip.conf").write_text("[global]\ntimeout = 3\n")
    assert pip_settings.read({"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}) == {}
    assert pip_settings.read({"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path)})["timeout"] == "3"


def test_what_lies_on_the_builder_is_bound_and_what_is_gone_is_left_out(tmp_path: Path) -> None:
    index, wheels, folder = tmp_path / "mirror/simple", tmp_path / "wheels", tmp_path / "pip"
    for path in (index, wheels, folder):
        path.mkdir(parents=True)
    (tmp_path / "ca.pem").write_text("certificate")
    settings = {
        "index-url": "https://a.example/simple",
        "extra-index-url": f"file://{index} file:///not/there http://b.example/simple",
        "find-links": f"{wheels} https://c.example/links",
        "trusted-host": "b.example",
        "cert": str(tmp_path / "ca.pem"),
        "client-cert": "/not/there.pem",
    }
    made = pip_settings.prepare(settings, folder)
    assert made.binds == {str(folder): "/run/pip", str(index.parent): "/run/pip.1", str(wheels): "/run/pip.2"}
    assert made.env == {"PIP_CONFIG_FILE": "/run/pip/pip.conf"}
    assert (folder / "pip.conf").read_text().splitlines() == [
        "[global]",
        "cert = /run/pip/cert",
        "extra-index-url = file:///run/pip.1/simple/ http://b.example/simple",
        "find-links = /run/pip.2 https://c.example/links",
        "index-url = https://a.example/simple",
        "trusted-host = b.example",
    ]
    assert (folder / "cert").read_text() == "certificate"
    assert stat.S_IMODE((folder / "pip.conf").stat().st_mode) == 0o600
