# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of what boots from what: whole, kept by the manifest's rules, and what each row promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from manifest_tools import accepted, check, check_data, error_at, good

from debfleet.common.bootloader import BOOTLOADERS
from debfleet.common.disk import combinations, layout
from debfleet.common.disk.combinations import TABLE, Combination
from debfleet.common.disk.filesystems import FILESYSTEMS
from debfleet.common.manifest import rules
from debfleet.common.manifest.problems import Positions

EVERY = list(combinations.every())
BOOTS = [what for what in EVERY if combinations.boots(what)]


def volume(what: Combination) -> dict[str, Any]:
    boot = {"boot": {"size": "400MiB", "filesystem": what.boot}} if what.boot else {}
    partitions = {"type": what.map, **boot, "root": {"size": "1GiB", "filesystem": what.root}}
    return {"backing": "raw", "size": None, "partitions": partitions}


def manifest(what: Combination) -> dict[str, Any]:
    system = {"release": "trixie", "architecture": "amd64", "bootloader": what.bootloader, "firmware": what.firmware}
    return good(system=system, volume=volume(what))


def troubles(what: Combination) -> list[str]:
    view = rules.View(manifest(what), frozenset(), Positions("m.yml"))
    return [str(problem) for problem in rules.broken(view)]


def test_the_rules_refuse_exactly_what_the_table_does_not_have() -> None:
    assert [what for what in EVERY if bool(troubles(what)) == combinations.boots(what)] == []
    assert 100 < len(BOOTS) < len(EVERY) - 100


def test_every_combination_of_the_table_can_be_laid_out() -> None:
    for what in BOOTS:
        made = layout.plan(volume(what), firmware=what.firmware, bootloader=what.bootloader, seed="s")
        row = TABLE[what.bootloader]
        esp = what.firmware != "bios" and what.map != "none" and row.esp
        assert (made.esp.size if made.esp else 0) == (esp or 0), what
        assert (made.named("bios_grub") is not None) == (
            (what.bootloader, what.map) == ("grub", "gpt") and what.firmware != "uefi"
        )
        for part in made.partitions:
            read = part is made.boot and part.filesystem == "ext4"
            assert part.features == (row.features if read else ()), what


def test_every_bootloader_is_in_the_table_and_every_filesystem_can_be_made() -> None:
    assert set(BOOTLOADERS) <= set(TABLE)
    assert set(combinations.ROOTS) <= set(FILESYSTEMS)
    for row in TABLE.values():
        assert set(row.maps) <= set(combinations.MAPS) and set(row.firmwares) <= set(combinations.FIRMWARES)


@pytest.mark.parametrize(
    ("what", "path", "message", "hint"),
    [
        (Combination("extlinux", "bios", "gpt", "xfs"), "root.filesystem", "extlinux can't read xfs", "as boot: {"),
        (Combination("extlinux", "bios", "gpt", "ext4", "btrfs"), "boot.filesystem", "can't read btrfs", ""),
        (Combination("extlinux", "bios", "none", "xfs"), "root.filesystem", "can't read xfs", ""),
    ],
)
def test_a_filesystem_that_the_bootloader_can_not_read(
    tmp_path: Path, what: Combination, path: str, message: str, hint: str
) -> None:
    error = error_at(check_data(tmp_path, manifest(what)), f"volume.partitions.{path}")
    assert message in error.message
    assert list(error.allowed or ()) == ["ext2", "ext3", "ext4"]
    assert hint in error.hint and bool(hint) == bool(error.hint)


def test_what_boots_is_a_good_manifest(tmp_path: Path) -> None:
    for what in (Combination("systemd-boot", "uefi", "gpt", "xfs"), Combination("extlinux", "bios", "none", "ext2")):
        accepted(check_data(tmp_path, manifest(what)))


@pytest.mark.parametrize(("filesystem", "size"), [("xfs", "299MiB"), ("btrfs", "127MiB"), ("btrfs", "1%")])
def test_a_partition_too_small_for_its_filesystem(tmp_path: Path, filesystem: str, size: str) -> None:
    disk = {"size": "4GiB", "partitions": {"root": {"size": "1GiB"}, "var": {"size": size, "filesystem": filesystem}}}
    error = error_at(check_data(tmp_path, good(volume=disk)), "volume.partitions.var.size")
    assert f"too small for {filesystem}, which needs" in error.message


def test_extlinux_wants_a_primary_partition(tmp_path: Path) -> None:
    small = {"size": "100MiB"}
    first = dict.fromkeys(("swap", "srv", "opt"), small)
    data = manifest(Combination("extlinux", "bios", "msdos", "ext4"))
    data["volume"]["partitions"] = {"type": "msdos", **first, "root": {"size": "1GiB"}, "home": small}
    error = error_at(check_data(tmp_path, data), "volume.partitions.root")
    assert "root would be a logical one" in error.message
    data["volume"]["partitions"] = {"type": "msdos", "root": {"size": "1GiB"}, **first, "home": small}
    accepted(check_data(tmp_path, data))


def test_what_is_booted_has_every_bootloader_firmware_map_and_root() -> None:
    booted = list(combinations.tested())
    assert all(combinations.boots(what) for what in booted)
    for what in BOOTS:
        firmware = what.firmware if TABLE[what.bootloader].by_firmware else "bios"
        if what.boot is None or TABLE[what.bootloader].reads != combinations.ROOTS:
            assert any(
                (one.bootloader, one.firmware, one.map, one.root) == (what.bootloader, firmware, what.map, what.root)
                for one in booted
            ), what


def test_there_is_an_example_for_each_map_bootloader_and_root_filesystem(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOT_PASSWORD", "battery staple")
    found: dict[str, set[str]] = {"maps": set(), "loaders": set(), "filesystems": set(), "firmwares": set()}
    for path in repo.glob("manifests/*.yml"):
        data = accepted(check(path))
        partitions = data["volume"]["partitions"]
        found["maps"].add(partitions["type"])
        found["loaders"].add(data["system"]["bootloader"])
        found["firmwares"].add(data["system"]["firmware"])
        found["filesystems"].add(partitions["root"]["filesystem"])
    assert found["maps"] == set(combinations.MAPS) and found["firmwares"] == set(combinations.FIRMWARES)
    assert found["loaders"] == set(BOOTLOADERS)
    assert found["filesystems"] == {"ext4", "xfs", "btrfs"}
