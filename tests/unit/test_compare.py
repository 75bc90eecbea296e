# SPDX-License-Identifier: GPL-3.0-or-later
"""Two root trees compared: every kind of difference is told, and equal ones are the same."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import jsonschema
import pytest
from inspect_tree import STATUS, make, put

from debfleet import cli
from debfleet.cli import image
from debfleet.common.compare import compare, difference, files, images
from debfleet.common.compare.difference import Difference
from debfleet.common.errors import DebfleetError


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A tree, and an equal copy of it."""
    a, b = make(tmp_path / "a"), tmp_path / "b"
    put(a, "usr/share/first", "same")
    os.link(a / "usr/share/first", a / "usr/share/second")
    put(a, "usr/share/large", "0123456789" * 1000)
    os.mkfifo(a / "run/pipe")
    copy(a, b)
    return a, b


def copy(a: Path, b: Path) -> None:
    shutil.copytree(a, b, symlinks=True, ignore=shutil.ignore_patterns("pipe", "second"))
    os.mkfifo(b / "run/pipe")
    os.link(b / "usr/share/first", b / "usr/share/second")


def only(found: Difference, *, added: int = 0, removed: int = 0) -> dict[str, dict[str, list[object]]]:
    assert (len(found.added), len(found.removed)) == (added, removed)
    assert not found.same
    return dict(found.changed)


def test_equal_trees_are_the_same(pair: tuple[Path, Path]) -> None:
    found = compare(*pair)
    assert found.same
    assert found.to_text(image.SECTIONS).splitlines()[-1] == "nothing differs"


def test_times_are_no_difference(pair: tuple[Path, Path]) -> None:
    os.utime(pair[1] / "etc/hosts", (1, 1))
    assert compare(*pair).same


def test_content_of_one_size_and_time(pair: tuple[Path, Path]) -> None:
    """Size and time prove nothing."""
    path = pair[1] / "usr/share/large"
    stat = path.stat()
    path.write_text("0123456789" * 999 + "012345678X")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert only(compare(*pair)) == {"/usr/share/large": {"content": [10000, 10000]}}


def test_modes_types_links_targets_and_attributes(pair: tuple[Path, Path]) -> None:
    b = pair[1]
    (b / "etc/hosts").chmod(0o600)
    (b / "usr/share/second").unlink()
    put(b, "usr/share/second", "same")
    (b / "etc/resolv.conf").unlink()
    (b / "etc/resolv.conf").symlink_to("elsewhere")
    (b / "run/pipe").unlink()
    (b / "run/pipe").mkdir()
    (b / "home").chmod(0o711)
    assert only(compare(*pair)) == {
        "/etc/hosts": {"mode": ["0644", "0600"]},
        "/etc/resolv.conf": {"target": ["../run/systemd/resolve/stub-resolv.conf", "elsewhere"]},
        "/home": {"mode": ["0755", "0711"]},
        "/run/pipe": {"type": ["pipe", "folder"]},
        "/usr/share/first": {"links": [["/usr/share/second"], []]},
        "/usr/share/second": {"links": [["/usr/share/first"], []]},
    }


@pytest.mark.root
def test_owners_devices_and_attributes(pair: tuple[Path, Path]) -> None:
    a, b = pair
    os.chown(b / "etc/hosts", 5, 6)
    for top, minor in ((a, 3), (b, 5)):
        os.mknod(top / "home/node", 0o20600, os.makedev(1, minor))
    os.setxattr(b / "etc/hostname", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    changed = only(compare(*pair))
    assert changed["/etc/hosts"] == {"owner": ["0:0", "5:6"]}
    assert changed["/home/node"] == {"device": ["1:3", "1:5"]}
    assert changed["/etc/hostname"]["xattrs"][0] == {}
    assert "~ /etc/hostname  xattrs security.capability" in compare(*pair).to_text(["files"])


def test_packages_and_sizes(pair: tuple[Path, Path]) -> None:
    status = STATUS.replace("2.41-12+b1", "2.41-13").replace("Package: base-files", "Package: other-files")
    put(pair[1], "var/lib/dpkg/status", status)
    put(pair[1], "opt/big", "x" * 5000)
    found = compare(*pair)
    assert found.packages == {
        "base-files:amd64": ["13", None],
        "libc6:amd64": ["2.41-12+b1", "2.41-13"],
        "other-files:amd64": [None, "13"],
    }
    assert found.folders["/opt"] == [None, 5000]
    text = found.to_text(["packages", "sizes"])
    assert "packages  1 added, 1 removed, 1 of another version" in text
    assert "  ~ libc6:amd64  2.41-12+b1 → 2.41-13" in text
    assert "  + other-files:amd64  13" in text
    assert "  - base-files:amd64  13" in text
    assert "files     2 added, 0 removed, 1 changed" in text  # /opt, too
    assert "0 B → 4.9 KiB (+4.9 KiB)" in text


def test_many_files_are_compared_by_several_processes(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FEW", 0)
    monkeypatch.setattr(files, "PACKET", 5)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    assert compare(*pair).same
    put(pair[1], "etc/hosts", "127.0.0.2 localhost\n")
    assert only(compare(*pair)) == {"/etc/hosts": {"content": [20, 20]}}


def test_tables_and_settings() -> None:
    assert images.table({"x": 1, "y": None}, {"y": None, "z": [2]}) == {"x": [1, None], "z": [None, [2]]}
    assert dict(images.flat({"a": {"b": [1], "c": {}}, "d": 0})) == {"a.b": [1], "a.c": {}, "d": 0}
    assert difference.grown(2048, 1024) == "2 KiB → 1 KiB (-1 KiB)"
    assert difference.count([], "value") == "same"
    assert difference.count(["x"], "value") == "1 value differs"


def test_a_file_with_several_names_counts_once(pair: tuple[Path, Path]) -> None:
    from debfleet.common.inspect.root import Root

    assert files.folder_sizes(Root(pair[0]).entries)["/usr/share"] == 10004


def test_at_the_prompt(pair: tuple[Path, Path], repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads((repo / "schemas/image-diff.json").read_text())
    a, b = map(str, pair)
    assert cli.main(["image", "diff", a, b, "--json"]) == 0
    jsonschema.validate(json.loads(capsys.readouterr().out), schema)
    put(pair[1], "etc/new")
    (pair[1] / "etc/hosts").chmod(0o600)
    assert cli.main(["image", "diff", a, b, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    jsonschema.validate(told, schema)
    assert told["added"] == ["/etc/new"]
    assert cli.main(["image", "diff", a, b]) == 1
    assert "/etc/new" not in capsys.readouterr().out
    for words in (["-v"], ["--show", "files"]):
        assert cli.main(["image", "diff", a, b, *words]) == 1
        assert "  ~ /etc/hosts  mode 0644 → 0600\n  + /etc/new\n" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["image", "diff", a, b, "--show", "nonsense"])
    assert image.SECTIONS == difference.SECTIONS


def test_what_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(DebfleetError, match="is no file"):
        compare(tmp_path / "none", tmp_path / "none")
