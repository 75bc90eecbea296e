# SPDX-License-Identifier: GPL-3.0-or-later
"""Laying out a disk: what always holds, what firmware adds, and what is refused."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from disk_volumes import MIB, firmwares, volumes
from hypothesis import given, settings
from hypothesis import strategies as st

from debfleet.common import sizes
from debfleet.common.disk import layout, partition_map
from debfleet.common.errors import FindingsError

GIB = 1 << 30


def planned(
    partitions: dict[str, Any], size: str | None = "8GiB", firmware: str = "bios", bootloader: str = "none"
) -> layout.Layout:
    volume = {"size": size, "partitions": partitions}
    return layout.plan(volume, firmware=firmware, bootloader=bootloader, seed="s")


def bootloader_of(volume: dict[str, Any]) -> str:
    return "none" if volume["partitions"]["type"] == "none" else "grub"


@given(volumes(), firmwares)
@settings(max_examples=120, deadline=None)
def test_what_always_holds(volume: dict[str, Any], firmware: str) -> None:
    made = layout.plan(volume, firmware=firmware, bootloader=bootloader_of(volume), seed="s")
    parts, kind = made.partitions, made.map
    for part in parts:
        assert part.start % MIB == 0 and part.size % MIB == 0 and part.size > 0, "whole MiB"
    for one, other in pairwise(parts):
        assert one.end <= other.start, "in order, none over another"
    assert parts[0].start >= (0 if kind == "none" else MIB)
    assert parts[-1].end <= made.size - (MIB if kind == "gpt" else 0), "inside the volume, and before the second GPT"
    own = [part.name for part in parts if part.name not in ("esp", "bios_grub")]
    assert own == [name for name in volume["partitions"] if name != "type"], "the manifest's order is kept"
    assert len({part.uuid for part in parts if part.uuid}) == len([part for part in parts if part.uuid])
    assert len({part.number for part in parts}) == len(parts)
    for name, asked in volume["partitions"].items():
        part = made.named(name)
        if part and asked["size"].endswith("B"):
            wanted = sizes.in_bytes(asked["size"])
            assert wanted <= part.size < wanted + MIB, "a fixed size is rounded up to a MiB, no further"
    assert layout.Layout.from_dict(made.to_dict()) == made


@given(volumes(), firmwares)
@settings(max_examples=80, deadline=None)
def test_what_remains_is_filled_and_shares_are_of_what_partitions_have(volume: dict[str, Any], firmware: str) -> None:
    made = layout.plan(volume, firmware=firmware, bootloader=bootloader_of(volume), seed="s")
    asked = volume["partitions"]
    texts = {name: one["size"] for name, one in asked.items() if name != "type"}
    gaps = made.size - sum(part.size for part in made.partitions)
    logical = len(made.partitions) - 3 if made.map == "msdos" and len(made.partitions) > 4 else 0
    map_itself = {"none": 0, "msdos": MIB, "gpt": 2 * MIB}[made.map] + logical * MIB
    if "remaining" in texts.values() or volume["size"] is None:
        assert gaps == map_itself
    added = sum(part.size for part in made.partitions if part.name in ("esp", "bios_grub"))
    room = made.size - map_itself - added
    for name, text in texts.items():
        part = made.named(name)
        if part and text.endswith("%"):
            assert 0 <= room * int(text[:-1]) / 100 - part.size < MIB


@given(volumes(), firmwares)
@settings(max_examples=50, deadline=None)
def test_the_same_seed_gives_the_same_disk_and_another_none_of_its_ids(volume: dict[str, Any], firmware: str) -> None:
    def made(seed: str) -> layout.Layout:
        return layout.plan(volume, firmware=firmware, bootloader=bootloader_of(volume), seed=seed)

    assert made("a") == made("a")
    ids = [{part.uuid for part in made(seed).partitions if part.uuid} for seed in "ab"]
    assert not ids[0] & ids[1]
    assert made("a").disk_uuid != made("b").disk_uuid


@given(
    st.dictionaries(st.text(max_size=8), st.fixed_dictionaries({"size": st.text(max_size=6)}), max_size=5),
    st.text(max_size=6),
)
@settings(max_examples=80, deadline=None)
def test_anything_else_is_refused_with_its_place(partitions: dict[str, Any], size: str) -> None:
    volume = {"size": size, "partitions": {**partitions, "type": "gpt"}}
    for trouble in layout.troubles(volume, firmware="bios", bootloader="grub"):
        assert trouble.where.startswith("volume")
        assert isinstance(trouble, ValueError) and isinstance(trouble, FindingsError)


ROOT = {"size": "1GiB", "filesystem": "ext4"}


@pytest.mark.parametrize(
    ("kind", "firmware", "bootloader", "names"),
    [
        ("gpt", "bios", "grub", ["bios_grub", "root"]),
        ("gpt", "uefi", "grub", ["esp", "root"]),
        ("gpt", "both", "grub", ["bios_grub", "esp", "root"]),
        ("gpt", "uefi", "systemd-boot", ["esp", "root"]),
        ("gpt", "both", "none", ["root"]),
        ("gpt", "bios", "extlinux", ["root"]),
        ("msdos", "bios", "grub", ["root"]),
        ("msdos", "uefi", "grub", ["esp", "root"]),
        ("msdos", "both", "grub", ["esp", "root"]),
        ("none", "bios", "none", ["root"]),
        ("none", "uefi", "none", ["root"]),
    ],
)
def test_what_firmware_needs_is_added(kind: str, firmware: str, bootloader: str, names: list[str]) -> None:
    made = planned({"type": kind, "root": ROOT}, None, firmware, bootloader)
    assert [part.name for part in made.partitions] == names


def test_an_esp_of_the_manifest_is_the_esp() -> None:
    made = planned({"type": "gpt", "root": ROOT, "boot/efi": {"size": "100MiB"}}, None, "uefi", "grub")
    assert [(part.name, part.size, part.filesystem) for part in made.partitions] == [
        ("root", GIB, "ext4"),
        ("esp", 100 * MIB, "vfat"),
    ]
    assert made.esp is not None and made.esp.type == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"


def test_a_volume_without_a_size_is_as_large_as_its_partitions_need() -> None:
    assert planned({"type": "none", "root": ROOT}, None).size == GIB
    assert planned({"type": "msdos", "root": ROOT}, None).size == GIB + MIB
    assert planned({"type": "gpt", "root": ROOT}, None).size == GIB + 2 * MIB
    assert planned({"type": "gpt", "root": ROOT}, None, "both", "grub").size == GIB + (2 + 1 + 64) * MIB


def test_more_than_four_of_an_mbr_are_logical() -> None:
    small = {"size": "10MiB", "filesystem": "ext4"}
    names = ["root", "a", "b", "c", "d"]
    made = planned({"type": "msdos", **dict.fromkeys(names, small)}, "100MiB")
    assert [part.number for part in made.partitions] == [1, 2, 3, 5, 6]
    assert [part.start // MIB for part in made.partitions] == [1, 11, 21, 32, 43]
    assert made.extended == (31 * MIB, 69 * MIB)
    assert "type=5" in partition_map.script(made)
    four = planned({"type": "msdos", **dict.fromkeys(names[:4], small)}, "100MiB")
    assert [part.number for part in four.partitions] == [1, 2, 3, 4]
    assert four.extended is None


def test_sizes_are_shares_of_what_is_left_by_the_map() -> None:
    made = planned({"type": "gpt", "root": {"size": "60%"}, "var": {"size": "40%"}}, "1GiB", "both", "grub")
    assert sum(part.size for part in made.partitions) <= GIB - 2 * MIB
    assert made.root.size == (1024 - 2 - 65) * 60 // 100 * MIB


SMALL = {"size": "10MiB"}
LEAVES = {"size": "remaining"}


@pytest.mark.parametrize(
    ("partitions", "size", "where", "words"),
    [
        ({"type": "gpt", "root": {"size": "9GiB"}}, "8GiB", "root.size", "larger than the volume"),
        ({"type": "gpt", "root": {"size": "8GiB"}}, "8GiB", "root.size", "larger than the volume"),
        ({"type": "gpt", "root": {"size": "90%"}, "var": {"size": "1GiB"}}, "8GiB", "root.size", "larger"),
        ({"type": "gpt", "root": LEAVES, "var": LEAVES}, "8GiB", "var.size", "only one partition"),
        ({"type": "gpt", "root": LEAVES}, None, "root.size", "has no size"),
        ({"type": "gpt", "root": {"size": "50%"}}, None, "root.size", "has no size"),
        ({"type": "gpt", "root": {"size": "60%"}, "var": {"size": "41%"}}, "8GiB", "var.size", "more than 100 %"),
        ({"type": "gpt", "root": {"size": "8190MiB"}, "var": LEAVES}, "8GiB", "var.size", "nothing is left"),
        ({"type": "gpt", "root": SMALL, "var": {"size": "1%"}}, "50MiB", "var.size", "nothing is left"),
        ({"type": "msdos", "root": {"size": "3TiB"}}, "4TiB", "root.size", "2 TiB"),
        ({"type": "msdos", "root": LEAVES}, "4TiB", "root.size", "2 TiB"),
        ({"type": "none", "root": SMALL, "boot": SMALL}, None, "boot", "needs a partition map"),
        ({"type": "none", "root": SMALL, "swap": SMALL}, None, "swap", "needs a partition map"),
        ({"type": "gpt", "boot": SMALL}, None, "", "no root"),
        ({"type": "gpt", "root": SMALL, "/var": SMALL}, None, "/var", "no mount point"),
        ({"type": "gpt", "root": SMALL, "../var": SMALL}, None, "../var", "no mount point"),
        ({"type": "gpt", "root": SMALL, "var//tmp": SMALL}, None, "var//tmp", "no mount point"),
        ({"type": "gpt", "root": SMALL, "var tmp": SMALL}, None, "var tmp", "no mount point"),
        ({"type": "gpt", "root": SMALL, "etc": SMALL}, None, "etc", "partition of its own"),
        ({"type": "gpt", "root": {"size": "1G"}}, None, "root.size", "no size"),
        ({"type": "gpt", "root": {"size": "0MiB"}}, None, "root.size", "nothing"),
        ({"type": "gpt", "root": {}}, None, "root.size", "no size"),
        ({"type": "gpt", "root": SMALL} | {f"m{n}": SMALL for n in range(128)}, None, "", "129 partitions"),
        ({"type": "msdos", "root": SMALL} | {f"m{n}": SMALL for n in range(60)}, None, "", "61 partitions"),
    ],
)
def test_what_can_not_be_is_refused(partitions: dict[str, Any], size: str | None, where: str, words: str) -> None:
    with pytest.raises(layout.LayoutError, match=words) as caught:
        planned(partitions, size)
    assert caught.value.where == f"volume.partitions.{where}".rstrip(".")


def test_a_volume_size_that_is_none() -> None:
    for size in ("50%", "remaining", "x", "0B"):
        with pytest.raises(layout.LayoutError) as caught:
            planned({"type": "gpt", "root": SMALL}, size)
        assert caught.value.where == "volume.size"


def test_a_bootloader_without_a_map_is_refused() -> None:
    with pytest.raises(layout.LayoutError, match="grub needs a partition map") as caught:
        planned({"type": "none", "root": SMALL}, None, "bios", "grub")
    assert caught.value.where == "volume.partitions.type"


def test_what_is_too_large_is_told_in_sizes_that_add_up() -> None:
    with pytest.raises(layout.LayoutError) as caught:
        planned({"type": "gpt", "root": {"size": "1GiB"}, "var": {"size": "1025MiB"}}, "2GiB", "both", "grub")
    assert caught.value.where == "volume.partitions.var.size"
    assert "they need 2114 MiB: bios_grub 1 MiB, esp 64 MiB, root 1 GiB, var 1025 MiB" in caught.value.why
    assert "the volume of 2 GiB has 2046 MiB for them" in caught.value.why


def test_every_trouble_of_a_kind_is_named_at_once() -> None:
    volume = {"size": "x", "partitions": {"type": "none", "boot": {"size": "y"}, "swap": SMALL}}
    found = layout.troubles(volume, firmware="bios", bootloader="grub")
    assert {trouble.where for trouble in found} == {
        "volume.size",
        "volume.partitions",
        "volume.partitions.boot.size",
        "volume.partitions.boot",
        "volume.partitions.swap",
        "volume.partitions.type",
    }


def test_fstab_has_every_filesystem_by_uuid_outer_ones_first() -> None:
    options = {"size": "50MiB", "filesystem": "ext4", "mountopts": ["nodev", "nosuid"]}
    made = planned(
        {"type": "gpt", "var/tmp": options, "swap": SMALL, "root": {"size": "1GiB", "filesystem": "ext4"}, "var": ROOT},
        None,
        "uefi",
        "grub",
    )
    ids = {part.name: part.uuid for part in made.partitions}
    assert layout.fstab(made).splitlines()[1:] == [
        f"UUID={ids['root']} / ext4 errors=remount-ro 0 1",
        f"UUID={ids['esp']} /boot/efi vfat umask=0077 0 2",
        f"UUID={ids['var']} /var ext4 defaults 0 2",
        f"UUID={ids['var/tmp']} /var/tmp ext4 nodev,nosuid 0 2",
        f"UUID={ids['swap']} none swap sw 0 0",
    ]


def test_options_of_the_manifest_are_kept() -> None:
    root = {"size": "1GiB", "filesystem": "ext4", "mountopts": ["noatime", "errors=panic"]}
    assert " / ext4 noatime,errors=panic 0 1\n" in layout.fstab(planned({"type": "gpt", "root": root}, None))


@given(volumes(), firmwares, st.integers(0, 200))
@settings(max_examples=50, deadline=None)
def test_the_bar_is_as_wide_as_asked_and_names_every_partition(
    volume: dict[str, Any], firmware: str, width: int
) -> None:
    made = layout.plan(volume, firmware=firmware, bootloader=bootloader_of(volume), seed="s")
    head, *lines = layout.bar(made, width).splitlines()
    rows, legend = lines[:4], lines[4:]
    assert sizes.shown(made.size) in head
    assert {len(row) for row in rows} == {max(width, 24, 3 * len(made.partitions) + 1)}
    for part, line in zip(made.partitions, legend, strict=True):
        assert part.name in line and sizes.shown(part.size) in line
    cells = [len(cell) for cell in rows[1].strip("│").split("│")]
    assert min(cells) >= 1
    ordered = sorted(zip((part.size for part in made.partitions), cells, strict=True))
    assert all(one[1] <= other[1] + 1 for one, other in pairwise(ordered)), "a larger partition is no narrower"


def test_a_bar_looks_like_this() -> None:
    made = planned({"type": "gpt", "root": {"size": "remaining"}, "swap": {"size": "1GiB"}}, "4GiB", "both", "grub")
    assert layout.bar(made, 40) == (
        "GPT, 4 GiB\n"
        "┌─┬─┬────────────────────────┬─────────┐\n"
        "│1│2│          root          │   swap  │\n"
        "│ │ │        2.9 GiB         │  1 GiB  │\n"
        "└─┴─┴────────────────────────┴─────────┘\n"
        "1  bios_grub    1 MiB  <1%  -     -\n"
        "2  esp         64 MiB   2%  vfat  /boot/efi\n"
        "3  root       2.9 GiB  73%  ext4  /\n"
        "4  swap         1 GiB  25%  swap  -\n"
    )
