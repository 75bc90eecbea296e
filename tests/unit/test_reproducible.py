# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes two builds of an image the same: the moment they are told, and the versions they are held to."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from manifest_tools import accepted, check_data, error_at, good

from debfleet.common import epoch
from debfleet.common.bootstrap import locked
from debfleet.common.bootstrap.locked import Lock
from debfleet.common.bootstrap.resolve import Package
from debfleet.common.disk import formats, ids, inode_times
from debfleet.common.errors import DebfleetError
from debfleet.common.manifest import reproducible
from debfleet.controller import locking

SAID = """\
Inode count:              40
Free inodes:              17

Group 0: (Blocks 0-8191)
  Block bitmap at 259
  Free blocks: 300-8191
  Free inodes: 14, 17-20
Group 1: (Blocks 8192-16383)
  Free blocks: 8200-16383
  Free inodes: 
Group 2: (Blocks 16384-20000)
  Free inodes: 29-40
"""  # noqa: W291


def test_the_inodes_that_files_have() -> None:
    assert list(inode_times.used(SAID)) == [2, 11, 12, 13, 15, 16, *range(21, 29)]


@pytest.mark.parametrize("text", ["yesterday", "-1", "1.5", "9" * 20])
def test_a_moment_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(epoch.NAME, text)
    with pytest.raises(DebfleetError, match="no number of seconds"):
        epoch.given()


def test_a_moment_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(epoch.NAME, str(int(time.time()) + 3600))
    with pytest.raises(DebfleetError, match="in the future"):
        epoch.given()


def test_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(epoch.NAME, "86400")
    assert epoch.given() == 86400
    assert epoch.variables() == {epoch.NAME: "86400", "PYTHONHASHSEED": "0"}
    monkeypatch.setenv(epoch.NAME, "")
    assert epoch.given() is None and epoch.variables() == {}


def test_nothing_in_a_tree_is_newer(tmp_path: Path) -> None:
    for name, when in (("old", 1000), ("new", 3000)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "file").touch()
        (folder / "link").symlink_to("/nowhere")
        for path in (folder / "file", folder / "link", folder):
            os.utime(path, (when, when), follow_symlinks=False)
    os.utime(tmp_path, (3000, 3000))
    assert epoch.clamp(tmp_path, 2000) == 4
    times = {str(path.relative_to(tmp_path)): path.lstat().st_mtime for path in [tmp_path, *tmp_path.rglob("*")]}
    assert times == {".": 2000, "old": 1000, "old/file": 1000, "old/link": 1000,
                     "new": 2000, "new/file": 2000, "new/link": 2000}  # fmt: skip
    assert epoch.clamp(tmp_path, 2000) == 0


def package(name: str, version: str) -> Package:
    return Package(name, version, "amd64", 0, 0)


def test_drift_names_what_is_other_gone_and_new() -> None:
    lock = Lock("trixie", "amd64", {"apt": "3.0", "dpkg": "1.22", "gone": "1"})
    found = [package("apt", "3.1"), package("dpkg", "1.22"), package("new", "2")]
    assert locked.drift(lock, found) == {"apt": ("3.0", "3.1"), "gone": ("1", ""), "new": ("", "2")}
    error = locked.DriftError(Path("packages.json"), locked.drift(lock, found))
    assert str(error).splitlines()[:5] == [
        "3 packages would not be as in the list of locked ones",
        "  where: packages.json",
        "  why: apt: 3.0 wanted, 3.1 found",
        "       gone: 1 wanted, none found",
        "       new: not wanted, 2 found",
    ]
    assert not locked.drift(Lock("trixie", "amd64", {"apt": "3.1"}), [package("apt", "3.1")])


def listing(folder: Path, **other: Any) -> Path:
    told: dict[str, Any] = {
        "schema_version": 1, "name": "x", "release": "trixie", "architecture": "amd64",
        "packages": [{"name": "apt", "version": "1:3.0~rc1-1", "architecture": "amd64"}],
    }  # fmt: skip
    path = folder / "packages.json"
    path.write_text(json.dumps({**told, **other}))
    return path


def test_a_list_is_read(tmp_path: Path) -> None:
    lock = locked.read(listing(tmp_path, source_date_epoch=5))
    assert lock == Lock("trixie", "amd64", {"apt": "1:3.0~rc1-1"}, 5)
    assert locked.preferences(lock) == "Package: apt\nPin: version 1:3.0~rc1-1\nPin-Priority: 1001\n"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 2}', '{"schema_version": 1, "packages": [1]}'])
def test_a_list_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "packages.json").write_text(text)
    with pytest.raises(DebfleetError, match="is no packages.json"):
        locked.read(tmp_path / "packages.json")
    with pytest.raises(DebfleetError, match="can't be read"):
        locked.read(tmp_path / "nothing.json")


def manifest(**system: str) -> dict[str, Any]:
    return {"reproducible": True, "system": {"release": "trixie", "architecture": "amd64", **system}}


def test_the_moment_is_the_environments_then_the_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(epoch.NAME, raising=False)
    path = listing(tmp_path, source_date_epoch=5)
    seconds, lock = locking.wanted(str(path), manifest())
    assert seconds == 5 and lock and lock.file == path
    assert locking.wanted("", manifest()) == (None, None)
    monkeypatch.setenv(epoch.NAME, "7")
    assert locking.wanted(str(path), manifest())[0] == 7
    assert locking.wanted("", manifest())[0] == 7
    assert locking.wanted("", {**manifest(), "reproducible": False})[0] is None


@pytest.mark.parametrize(("key", "value"), [("release", "bookworm"), ("architecture", "arm64")])
def test_a_list_of_another_system(key: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(DebfleetError, match="another system's"):
        locking.wanted(str(listing(tmp_path)), manifest(**{key: value}))


@pytest.mark.parametrize("backing", ["vdi", "vmdk", "vhd", "qcow2"])
def test_image_files_have_the_same_ids(backing: str, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    with raw.open("wb") as file:
        file.truncate(4 << 20)
        file.seek(1 << 20)
        file.write(os.urandom(70000))
    files = [tmp_path / name / f"disk.{backing}" for name in "ab"]
    for image in files:
        image.parent.mkdir()
        formats.convert(raw, image, backing, same=True)
    different = files[0].read_bytes() != files[1].read_bytes()
    assert not different or backing in ids.WAYS  # made in one second, two may be the same by chance
    for image in files:
        ids.unify(image, backing, "content")
    assert files[0].read_bytes() == files[1].read_bytes()
    for check in (["compare", "-f", formats.FORMATS[backing].name, "-F", "raw", files[0], raw], ["info", files[0]]):
        subprocess.run(["qemu-img", *map(str, check)], check=True, capture_output=True)
    if backing in ids.WAYS:
        ids.unify(files[1], backing, "other content")
        assert files[0].read_bytes() != files[1].read_bytes()
        files[1].write_bytes(bytes(4 << 20))
        with pytest.raises(DebfleetError, match="in another place"):
            ids.unify(files[1], backing, "content")


def test_what_is_never_the_same() -> None:
    parts = {"type": "gpt", "root": {"filesystem": "xfs"}, "boot": {"filesystem": "ext4"}}
    data = {"system": {"bootloader": "extlinux"}, "volume": {"backing": "vhdx", "partitions": parts}}
    assert {keys for keys, _ in reproducible.differing(data)} == {
        ("system", "bootloader"), ("volume", "backing"), ("volume", "partitions", "root", "filesystem"),
    }  # fmt: skip
    parts["root"]["filesystem"] = "ext4"  # type: ignore[index]
    assert not list(reproducible.differing({"system": {"bootloader": "grub"}, "volume": {"backing": "qcow2"}}))


def xfs(**more: Any) -> dict[str, Any]:
    parts = {"type": "gpt", "root": {"size": "2GiB", "filesystem": "xfs"}}
    volume = {"backing": "raw", "size": None, "partitions": parts}
    return good(system={"architecture": "amd64"}, volume=volume, **more)


def test_what_is_never_the_same_is_refused_where_it_is_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(epoch.NAME, raising=False)
    problem = error_at(check_data(tmp_path, xfs(reproducible=True)), "volume.partitions.root.filesystem")
    assert "never the same in two builds" in problem.message and "ext4" in problem.hint
    assert accepted(check_data(tmp_path, xfs()))["reproducible"] is False
    assert not [one for one in check_data(tmp_path, xfs()).notices if "never the same" in one.message]


def test_what_is_never_the_same_is_told_where_the_environment_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(epoch.NAME, "86400")
    checked = check_data(tmp_path, xfs())
    assert accepted(checked)["reproducible"] is True
    assert [one.path for one in checked.notices if "never the same" in one.message] == [
        "volume.partitions.root.filesystem"
    ]
