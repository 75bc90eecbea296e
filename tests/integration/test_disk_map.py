# SPDX-License-Identifier: GPL-3.0-or-later
"""What was laid out is what sfdisk sees on the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from debfleet.common.disk import layout, partition_map, sparse

sys.path.append(str(Path(__file__).parent.parent / "unit"))
from disk_volumes import MIB, firmwares, volumes  # noqa: E402


def seen_by_sfdisk(disk: Path) -> dict[str, Any]:
    done = subprocess.run(["sfdisk", "--json", disk], capture_output=True, check=True)
    table: dict[str, Any] = json.loads(done.stdout)["partitiontable"]
    return table


def written(disk: Path, volume: dict[str, Any], firmware: str = "both", bootloader: str = "grub") -> layout.Layout:
    made = layout.plan(volume, firmware=firmware, bootloader=bootloader, seed="s")
    sparse.create(disk, made.size)
    partition_map.write(disk, made)
    return made


@given(volumes().filter(lambda volume: volume["partitions"]["type"] != "none"), firmwares)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sfdisk_sees_every_partition_where_it_was_laid_out(
    tmp_path: Path, volume: dict[str, Any], firmware: str
) -> None:
    disk = tmp_path / "disk.raw"
    made = written(disk, volume, firmware)
    table = seen_by_sfdisk(disk)
    assert table["label"] == {"gpt": "gpt", "msdos": "dos"}[made.map]
    assert table["id"].lower() == made.disk_uuid
    rows = {int(row["node"].removeprefix(str(disk))): row for row in table["partitions"]}
    if made.extended:
        extended = rows.pop(4)
        assert (extended["type"], extended["start"] * 512, extended["size"] * 512) == ("5", *made.extended)
    assert rows.keys() == {part.number for part in made.partitions}
    for part in made.partitions:
        row = rows[part.number]
        assert (row["start"] * 512, row["size"] * 512) == (part.start, part.size)
        assert row["type"].lower() == part.type.lower()
        if made.map == "gpt":
            assert row["uuid"].lower() == part.partuuid
            assert row["name"] == part.name
    assert partition_map.matches(partition_map.read(disk), made)
    checked = subprocess.run(["sfdisk", "--verify", disk], capture_output=True, text=True, check=False)
    assert "No errors detected" in checked.stdout, checked.stdout + checked.stderr


ROOT = {"size": "10MiB", "filesystem": "ext4"}


def test_an_mbr_has_one_active_partition_that_has_the_kernels(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    partitions = {"type": "msdos", "swap": {"size": "1MiB"}, "root": ROOT, "boot": ROOT}
    written(disk, {"size": None, "partitions": partitions}, "bios")
    assert [row.get("bootable", False) for row in seen_by_sfdisk(disk)["partitions"]] == [False, False, True]


def test_another_map_on_the_disk_does_not_match(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    made = written(disk, {"size": "100MiB", "partitions": {"type": "gpt", "root": ROOT}})
    assert partition_map.matches(partition_map.read(disk), made)
    for volume in (
        {"size": "100MiB", "partitions": {"type": "gpt", "root": {"size": "11MiB"}}},
        {"size": "100MiB", "partitions": {"type": "msdos", "root": ROOT}},
    ):
        other = layout.plan(volume, firmware="both", bootloader="grub", seed="s")
        assert not partition_map.matches(partition_map.read(disk), other)
    seeded = layout.plan(
        {"size": "100MiB", "partitions": {"type": "gpt", "root": ROOT}}, firmware="both", bootloader="grub", seed="t"
    )
    assert not partition_map.matches(partition_map.read(disk), seeded)


def test_an_empty_disk_has_no_map(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    sparse.create(disk, MIB)
    assert partition_map.read(disk) is None


def test_a_layout_without_a_map_has_no_script() -> None:
    bare = layout.plan(
        {"size": None, "partitions": {"type": "none", "root": ROOT}}, firmware="bios", bootloader="none", seed="s"
    )
    with pytest.raises(ValueError, match="without a partition map"):
        partition_map.script(bare)
