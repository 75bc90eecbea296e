# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks stand on: the tree, fstab's names, apt's settings, the builder, the report."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inspect_tree import BUILDER, make

from debfleet.common import inspect
from debfleet.common.errors import DebfleetError
from debfleet.common.inspect import apt_conf, disk, fstab
from debfleet.common.inspect.host import Host, nameservers, official, place
from debfleet.common.inspect.results import Result, shown
from debfleet.common.inspect.root import Root
from debfleet.common.inspect.subject import Filesystem

DISK = [
    Filesystem(1, 0, 10, "vfat", "ABCD-1234", "ESP", "0a-01", "esp"),
    Filesystem(2, 10, 10, "ext4", "aaaa-bbbb", "root", "0a-02", "root"),
]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    top = tmp_path / "root"
    (top / "etc").mkdir(parents=True)
    (top / "etc/name").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    return Root(top)


@pytest.mark.parametrize("target", ["/secret", "../../secret", "../../../../secret", "/etc/../../secret"])
def test_a_link_never_leads_out_of_the_tree(root: Root, target: str) -> None:
    (root.top / "etc/link").symlink_to(target)
    assert root.text("/etc/link") is None
    assert root.exists("/etc/link")
    (root.top / "secret").write_text("the tree's own")
    assert root.text("/etc/link") == "the tree's own"


def test_links_are_followed_inside_the_tree(root: Root) -> None:
    (root.top / "a").symlink_to("/b")
    (root.top / "b").symlink_to("etc")
    assert root.text("/a/name") == "inside"
    assert root.locate("/a/name") == root.top / "etc/name"
    assert root.glob("/a/n*") == ["/a/name"]


def test_a_circle_of_links_is_nothing(root: Root) -> None:
    (root.top / "a").symlink_to("b")
    (root.top / "b").symlink_to("a")
    assert root.locate("/a") is None
    assert root.text("/a/x") is None


def test_a_pipe_is_not_opened(root: Root) -> None:
    os.mkfifo(root.top / "etc/hostname")
    assert root.text("/etc/hostname") is None


def test_a_folder_that_can_not_be_read_is_told(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scan(path: Path) -> object:
        if str(path).endswith("etc"):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(os, "scandir", scan)
    assert [entry.path for entry in root.entries] == ["/", "/etc"]
    assert root.unread == ["/etc: Input/output error"]


@pytest.mark.parametrize(
    ("spec", "number"),
    [
        ("UUID=aaaa-bbbb", 2),
        ("UUID=AAAA-BBBB", 2),
        ('UUID="aaaa-bbbb"', 2),
        ("LABEL=ESP", 1),
        ("PARTUUID=0a-02", 2),
        ("PARTLABEL=root", 2),
        ("/dev/disk/by-uuid/ABCD-1234", 1),
        ("/dev/vda2", 2),
        ("/dev/nvme0n1p1", 1),
        ("/dev/sda", None),
        ("UUID=cccc", None),
        ("UUID=", None),
        ("tmpfs", None),
        ("NOTHING=aaaa-bbbb", None),
    ],
)
def test_fstabs_names_are_found(spec: str, number: int | None) -> None:
    found = fstab.named(spec, DISK)
    assert (found.number if found else None) == number


def test_fstab_is_read() -> None:
    text = "# a comment\nUUID=x / ext4 ro 0 1\n\nUUID=y /var\nonly\n"
    assert fstab.entries(text) == [("UUID=x", "/", "ext4", "ro"), ("UUID=y", "/var", "", "")]


@given(st.text())
def test_no_fstab_is_too_odd(text: str) -> None:
    for spec, where, _, _ in fstab.entries(text):
        assert spec and where
        fstab.named(spec, DISK)


def test_apts_settings_are_read() -> None:
    text = """
    // Acquire::http::Proxy "no";
    Acquire::http::Proxy "http://a:1//x"; # tail
    Acquire { http { Pipeline-Depth "0"; Proxy::deb.example.org DIRECT; }; Retries 3; };
    /* Acquire::ftp::Proxy "no"; */
    DPkg::Pre-Invoke { "one"; "two"; };
    """
    assert apt_conf.settings(text) == [
        ("Acquire::http::Proxy", "http://a:1//x"),
        ("Acquire::http::Pipeline-Depth", "0"),
        ("Acquire::http::Proxy::deb.example.org", "DIRECT"),
        ("Acquire::Retries", "3"),
        ("DPkg::Pre-Invoke::", "one"),
        ("DPkg::Pre-Invoke::", "two"),
    ]


@given(st.text(alphabet='Aq:;{}"/*# \n'))
def test_no_apt_conf_is_too_odd(text: str) -> None:
    apt_conf.settings(text)


def test_the_builder_is_known() -> None:
    host = Host.current()
    assert not any(official(where) for where in host.mirrors)
    assert "localhost" not in host.names


def test_places_and_servers() -> None:
    assert place("https://me:pw@mirror.example.org:3142/debian") == "mirror.example.org:3142"
    assert place("file:/srv/archive/") == "/srv/archive"
    assert nameservers("# nameserver 1\nnameserver 192.0.2.1\n nameserver ::1") == ["192.0.2.1", "::1"]
    assert official("debian.org") and official("a.b.debian.org:80") and not official("notdebian.org")


@given(st.text())
def test_what_is_shown_is_printable(text: str) -> None:
    assert shown(text).isprintable()


def test_an_odd_name_can_not_fool_the_terminal(tmp_path: Path) -> None:
    tree = make(tmp_path / "root")
    (tree / "tmp" / "\x1b[2Jclean").write_text("x")
    (tree / "tmp" / os.fsdecode(b"\xff")).write_text("x")
    report = inspect.report(tree, None, host=BUILDER)
    assert "\x1b" not in report.to_text()
    report.to_text().encode("ascii", "strict")
    json.dumps(report.to_dict()).encode()


def test_the_report_follows_its_schema(tmp_path: Path, repo: Path) -> None:
    tree = make(tmp_path / "root")
    (tree / "var/lib/dpkg/status").write_text("")
    (tree / "tmp/x").write_text("x")
    schema = json.loads((repo / "schemas/inspection.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(inspect.report(tree, None, host=BUILDER).to_dict(), schema)


def test_unread_is_not_ok() -> None:
    result = Result("x")
    assert result.ok
    result.miss("a partition")
    assert not result.ok


@pytest.mark.parametrize("names", [[], ["disk.raw", "disk.qcow2"]])
def test_a_folder_without_one_image_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("")
    with pytest.raises(DebfleetError, match="image in"):
        disk.find_image(tmp_path)
    with pytest.raises(DebfleetError, match="is no file"):
        disk.find_image(tmp_path / "missing")


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=12))
def test_what_is_cut_out_is_what_is_there(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[tuple[int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    raw = folder / "raw"
    with raw.open("wb") as file:
        file.truncate(64 * 4096)
        for number, zeros in blocks:
            file.seek(number * 4096)
            file.write((b"\0" if zeros else bytes([number + 1])) * 4096)
    found = Filesystem(1, 3 * 4096, 40 * 4096)
    expected = raw.read_bytes()[found.start : found.start + found.size]
    assert disk.cut_out(raw, found, folder / "copy").read_bytes() == expected
    assert disk.empty(raw, found) == (not expected.strip(b"\0"))
