# SPDX-License-Identifier: GPL-3.0-or-later
"""Making images small: which paths dpkg leaves out, what that saves, and what the finished file is shrunk by."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debfleet.common import savings
from debfleet.common.changes import small
from debfleet.common.changes.request import Tree
from debfleet.common.disk import formats, zerofree
from debfleet.common.disk.shrink import Shrink
from debfleet.common.errors import DebfleetError

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("minimize_size", ROOT / "filter_plugins/minimize_size.py")
assert spec and spec.loader
settings: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(settings)

DOCS = settings.path_filter({"exclude_docs": True, "locales": None})
GERMAN = settings.path_filter({"exclude_docs": False, "locales": ["de_AT"]})


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A tree with two packages that dpkg reckons: 40 KiB and 12 KiB."""
    root = tmp_path / "root"
    files = {
        "usr/bin/tool": 9000,
        "usr/share/doc/tool/copyright": 100,
        "usr/share/doc/tool/examples/big": 20000,
        "usr/share/man/man1/tool.1.gz": 500,
        "usr/share/man/de/man1/tool.1.gz": 500,
        "usr/share/man/fr/man1/tool.1.gz": 500,
        "usr/share/locale/locale.alias": 10,
        "usr/share/locale/de/LC_MESSAGES/tool.mo": 10,
        "usr/share/locale/de_AT/LC_MESSAGES/tool.mo": 10,
        "usr/share/locale/fr/LC_MESSAGES/tool.mo": 10,
        "usr/bin/other": 11000,
    }
    for name, size in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(bytes(size))
    (root / "usr/share/doc/other").symlink_to("tool")
    (root / "usr/share/man/man1/t.1.gz").symlink_to("tool.1.gz")
    (root / "etc/alternatives").mkdir(parents=True)
    (root / "etc/alternatives/rmt.1.gz").symlink_to("/etc/passwd")  # which the builder has, and the tree has not
    (root / "usr/share/man/man1/rmt.1.gz").symlink_to("/etc/alternatives/rmt.1.gz")
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "tool.list").write_text(
        "/.\n/usr/bin/tool\n/usr/share/doc/tool/copyright\n/usr/share/doc/tool/examples/big\n"
    )
    (info / "other:amd64.list").write_text("/.\n/usr/bin/other\n/usr/share/doc/other\n")
    (root / "var/lib/dpkg/status").write_text(
        "Package: tool\nStatus: install ok installed\nInstalled-Size: 40\n\n"
        "Package: other\nStatus: install ok installed\nInstalled-Size: 12\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nInstalled-Size: 1000\n"
    )
    build = tmp_path / "build"
    build.mkdir()
    return Tree(root, build)


def there(tree: Tree, name: str) -> bool:
    return (tree.root / name).exists()


def test_documents_go_and_copyrights_stay_also_behind_links(tree: Tree) -> None:
    small.set_filter(tree, DOCS)
    assert there(tree, "usr/share/doc/tool/copyright") and there(tree, "usr/share/doc/other/copyright")
    assert not there(tree, "usr/share/doc/tool/examples") and not there(tree, "usr/share/man/de")
    assert there(tree, "usr/share/man/man1") and not list((tree.root / "usr/share/man/man1").iterdir())
    assert there(tree, "usr/share/locale/fr/LC_MESSAGES/tool.mo") and there(tree, "usr/bin/tool")


def test_only_the_languages_asked_for_stay(tree: Tree) -> None:
    small.set_filter(tree, GERMAN)
    kept = {path.name for path in (tree.root / "usr/share/locale").iterdir()}
    assert kept == {"locale.alias", "de", "de_AT"}
    assert {path.name for path in (tree.root / "usr/share/man").iterdir()} == {"man1", "de"}
    assert there(tree, "usr/share/doc/tool/examples/big")


def test_the_saving_is_what_dpkg_reckons_less_what_is_there(tree: Tree) -> None:
    small.set_filter(tree, DOCS)
    kib = 1024
    # of tool's 40 KiB there are 9 for the program and 1 for the copyright; other lacks nothing
    assert savings.read(tree.build) == {"dpkg": {"before": 52 * kib, "after": 22 * kib}}
    small.set_filter(tree, DOCS)
    assert savings.read(tree.build)["dpkg"]["after"] == 22 * kib, "twice is as once"


def test_dpkg_itself_leaves_the_same_out(tree: Tree, tmp_path: Path) -> None:
    package = tmp_path / "package"
    for name in (
        "usr/share/doc/tool/copyright",
        "usr/share/doc/tool/README",
        "usr/share/locale/fr/a",
        "usr/share/locale/de/a",
    ):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("x")
    (package / "DEBIAN").mkdir()
    (package / "DEBIAN/control").write_text(
        "Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n"
    )
    subprocess.run(["dpkg-deb", "--build", package, tmp_path / "tool.deb"], check=True, capture_output=True)
    both = settings.path_filter({"exclude_docs": True, "locales": ["de"]})
    words = [f"--path-exclude={one}" for one in both["exclude"]] + [f"--path-include={one}" for one in both["include"]]
    target = tmp_path / "target"
    (target / "var/lib/dpkg/info").mkdir(parents=True)
    (target / "var/lib/dpkg/updates").mkdir()
    (target / "var/lib/dpkg/status").touch()
    unpack = ["dpkg", f"--root={target}", "--force-not-root", "--force-script-chrootless", "--force-bad-path", *words]
    subprocess.run([*unpack, "--unpack", tmp_path / "tool.deb"], check=True, capture_output=True)
    found = {str(path.relative_to(target)) for path in (target / "usr").rglob("*") if path.is_file()}
    assert found == {"usr/share/doc/tool/copyright", "usr/share/locale/de/a"}


def test_each_locale_brings_its_language() -> None:
    assert settings.names("de_AT.UTF-8@euro") == ["de", "de_AT", "de@euro", "de_AT@euro"]
    assert settings.names("C") == ["C"]
    assert settings.path_filter({"locales": [], "exclude_docs": False})["include"] == [
        "/usr/share/locale/locale.alias",
        "/usr/share/man/man[1-9]/*",
    ]
    assert settings.path_filter({})["exclude"] == []


def test_apt_gets_settings_and_no_hooks(tmp_path: Path) -> None:
    everything = {"autoclean": True, "languages": ["de", "fr"], "gzip_indexes": True, "autoremove_suggests": True}
    lines = settings.apt_conf(everything)
    assert 'Acquire::Languages { "de"; "fr"; };' in lines and len(lines) == 7
    assert "Invoke" not in "".join(lines)
    assert settings.apt_conf({"autoclean": False}) == []
    (tmp_path / "apt.conf").write_text("\n".join(['Dir::Etc::parts "/none";', *lines, ""]))
    environment = {**os.environ, "APT_CONFIG": str(tmp_path / "apt.conf")}
    said = subprocess.run(["apt-config", "dump"], text=True, capture_output=True, check=True, env=environment)
    assert 'Acquire::Languages:: "fr";' in said.stdout and 'APT::AutoRemove::SuggestsImportant "false";' in said.stdout


@pytest.mark.parametrize(
    ("how", "wanted", "backing", "expected"),
    [
        (False, "", "qcow2", ""),
        (True, "", "qcow2", "zstd"),
        (True, "zlib", "qcow2", "zlib"),
        (True, "", "vmdk", "zlib"),
        (True, "", "vdi", ""),
        ("qemu-img", "", "qcow2", "zstd"),
        ("qemu-img", "", "vmdk", "zlib"),
        ("qemu-img-no-compression", "zstd", "qcow2", ""),
        ("vmware-vdiskmanager", "", "vmdk", ""),
    ],
)
def test_each_way_to_shrink_compresses_as_the_format_can(how: Any, wanted: str, backing: str, expected: str) -> None:
    assert Shrink(how, wanted).compress(backing) == expected


@pytest.mark.parametrize(("backing", "wanted"), [("vdi", "zlib"), ("raw", ""), ("vmdk", "zstd")])
def test_a_format_that_cannot_be_compressed_so_says_so(backing: str, wanted: str) -> None:
    with pytest.raises(DebfleetError, match=f"{backing} can't be compressed"):
        Shrink("qemu-img", wanted).compress(backing)


@pytest.mark.parametrize("backing", [name for name in formats.FORMATS if name != "raw"])
def test_every_format_holds_the_same_bytes(tmp_path: Path, backing: str) -> None:
    disk, image = tmp_path / "disk", tmp_path / "image"
    disk.write_bytes(bytes(1 << 20) + b"\1" * (1 << 20) + bytes(3 << 20))
    compress = formats.compression(backing)
    formats.convert(disk, image, backing, compress=compress, same=True)
    compared = ["qemu-img", "compare", "-f", "raw", "-F", formats.FORMATS[backing].name, disk, image]
    assert subprocess.run(compared, capture_output=True, check=False).returncode == 0
    if compress:
        again = tmp_path / "again"
        formats.convert(disk, again, backing, compress=compress, same=True)
        assert backing != "qcow2" or again.read_bytes() == image.read_bytes()


def test_free_blocks_that_hold_something_become_holes(tmp_path: Path) -> None:
    disk, start = tmp_path / "disk", 1 << 20
    disk.touch()
    subprocess.run(["truncate", "--size=17M", disk], check=True)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-E", f"offset={start}", disk, "16M"], check=True)
    layout = {"partitions": [{"filesystem": "ext4", "start": start}, {"filesystem": None, "start": 0}]}
    assert zerofree.zerofree(disk, layout) == 0
    begin, end = max(zerofree.free(disk, start), key=lambda pair: pair[1] - pair[0])
    with disk.open("r+b") as file:
        file.seek(end - (16 << 10))
        file.write(bytes(8 << 10) + b"left by a file that was removed" * 264)
    assert 8192 <= zerofree.zerofree(disk, layout) <= 3 * 4096
    assert disk.read_bytes()[begin:end] == bytes(end - begin)
    checked = subprocess.run(["e2fsck", "-f", "-n", f"{disk}?offset={start}"], capture_output=True, check=False)
    assert checked.returncode == 0


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_a_saving_is_told_in_a_line(before: int, after: int) -> None:
    (line,) = settings.savings_lines({"dpkg": {"before": before, "after": after}})
    assert line.startswith("minimize_size: dpkg ") and "less)" in line


def test_a_later_note_takes_the_place_of_an_earlier(tmp_path: Path) -> None:
    savings.note(tmp_path, "dpkg", 3, 2)
    savings.note(tmp_path, "shrink", 9, 1)
    savings.note(tmp_path, "dpkg", 3, 1)
    assert json.loads((tmp_path / savings.FILE).read_text()) == {
        "dpkg": {"before": 3, "after": 1},
        "shrink": {"before": 9, "after": 1},
    }
    savings.note(None, "dpkg", 1, 1)
    assert savings.read(None) == {}
