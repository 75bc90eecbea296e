# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse files, the census of a tree, format commands and room."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from debfleet.common.disk import btrfs, layout, sparse, tools, xfs
from debfleet.common.disk.census import Share, census
from debfleet.common.disk.ext import Ext
from debfleet.common.disk.filesystems import FILESYSTEMS
from debfleet.common.disk.formats import convert
from debfleet.common.errors import DebfleetError

MIB = 1 << 20


def part(**asked: object) -> layout.Partition:
    root = {"size": "100MiB", "filesystem": "ext4", **asked}
    plan = layout.plan(
        {"size": None, "partitions": {"type": "gpt", "root": root}}, firmware="bios", bootloader="none", seed="s"
    )
    return plan.root


def test_only_data_is_spliced_in(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    sparse.create(target, 64 * MIB)
    with target.open("r+b") as file:
        file.seek(20 * MIB)
        file.write(b"stays")
    sparse.create(source, 32 * MIB)
    with source.open("r+b") as file:
        file.write(b"first")
        file.seek(30 * MIB)
        file.write(b"last")
    sparse.splice(source, target, 10 * MIB)
    data = target.read_bytes()
    assert data[10 * MIB : 10 * MIB + 5] == b"first"
    assert data[40 * MIB : 40 * MIB + 4] == b"last"
    assert data[20 * MIB : 20 * MIB + 5] == b"stays"
    assert target.stat().st_blocks * 512 < MIB


def test_a_cleared_range_takes_no_room_and_reads_as_zeros(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"x" * (4 * MIB))
    sparse.clear(disk, MIB, 2 * MIB)
    assert not sparse.has_data(disk, MIB, 2 * MIB)
    assert disk.read_bytes() == b"x" * MIB + bytes(2 * MIB) + b"x" * MIB


def test_a_file_beside_the_disk_is_gone_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), sparse.beside(tmp_path / "disk", MIB) as file:
        assert file.stat().st_size == MIB
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_census_counts_each_filesystem_and_finds_links_across(tmp_path: Path) -> None:
    (tmp_path / "var/tmp").mkdir(parents=True)
    (tmp_path / "a").write_bytes(b"x" * 5000)
    os.link(tmp_path / "a", tmp_path / "b")
    os.link(tmp_path / "a", tmp_path / "var/tmp/c")
    (tmp_path / "var/d").write_bytes(b"y")
    shares = census(tmp_path, ["/", "/var/tmp"])
    assert shares["/"].split == ["/a", "/b"]
    assert shares["/var/tmp"].split == ["/var/tmp/c"]
    assert (shares["/"].entries, shares["/"].inodes) == (5, 4)
    assert (shares["/var/tmp"].entries, shares["/var/tmp"].inodes) == (1, 1)
    assert 5000 <= shares["/var/tmp"].data <= 8192
    assert 5000 + 1 <= shares["/"].data <= 8192 + 4096 + 2 * 1024


def test_a_format_commands_placeholders() -> None:
    one = part(format_command=["mkfs.{fs}", "-L", "{label}", "-U", "{uuid}", "{device_path}", "{size}"])
    words = tools.command(one, Path("/x/file"))
    assert words == ["mkfs.ext4", "-L", "root", "-U", one.uuid, "/x/file", str(100 * MIB)]


@pytest.mark.parametrize("word", ["{device}", "{}", "{", "{0}", "{fs.x}"])
def test_a_placeholder_that_there_is_not(word: str) -> None:
    with pytest.raises(layout.LayoutError, match="unknown placeholder") as caught:
        tools.command(part(format_command=["mkfs.ext4", word]), Path("/x/file"))
    assert caught.value.where == "volume.partitions.root.format_command"
    assert "{device_path}" in caught.value.hint


def test_a_partition_too_small_is_named_before_any_tool_runs(tmp_path: Path) -> None:
    share = Share(data=99 * MIB, inodes=10)
    with pytest.raises(DebfleetError, match="partition root .* of 100 MiB is too small") as caught:
        Ext("ext4").fill(tmp_path / "no-disk", part(), tmp_path, {}, share)
    assert caught.value.where == "volume.partitions.root.size"
    assert "its files take 99 MiB" in caught.value.why


def test_a_format_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DebfleetError, match="can't be made a ebs") as caught:
        convert(tmp_path / "disk", tmp_path / "image", "ebs")
    assert caught.value.where == "volume.backing"
    with pytest.raises(DebfleetError, match="raw can't be compressed"):
        convert(tmp_path / "disk", tmp_path / "image", "raw", compress="zstd")


def test_newer_tools_make_filesystems_that_bookworm_reads() -> None:
    long = layout.plan(
        {"size": None, "partitions": {"type": "gpt", "srv/data/of/web": {"size": "1GiB"}, "root": {"size": "1GiB"}}},
        firmware="bios", bootloader="none", seed="s",
    ).partitions[0]  # fmt: skip
    for told, newer in (("mkfs.xfs version 6.1.0", False), ("mkfs.xfs version 6.13.0", True), ("", False)):
        words = xfs.mkfs(long, told)
        assert ("parent=0" in words) is newer and any("exchange=0" in word for word in words) is newer
        assert words[words.index("-L") + 1] == "srv-data-of-", "a label of twelve letters"
        assert any("nrext64=0" in word for word in words) and f"uuid={long.uuid}" in words[words.index("-m") + 1]
    for told, newer in (
        ("mkfs.btrfs, part of btrfs-progs v6.2", False),
        ("mkfs.btrfs, part of btrfs-progs v7.3\n-X", True),
    ):
        assert ("^block-group-tree" in btrfs.mkfs(long, told)) is newer


@pytest.mark.parametrize(("filesystem", "data"), [("xfs", 240 * MIB), ("btrfs", 301 * MIB)])
def test_what_can_not_fit_is_told_before_anything_is_made(tmp_path: Path, filesystem: str, data: int) -> None:
    disk, plan = tmp_path / "disk.raw", part(size="300MiB", filesystem=filesystem)
    with pytest.raises(DebfleetError, match="partition root .* of 300 MiB is too small"):
        FILESYSTEMS[filesystem].fill(disk, plan, tmp_path, {}, Share(data=data, entries=1, inodes=1))
    assert list(tmp_path.iterdir()) == []
