# SPDX-License-Identifier: GPL-3.0-or-later
"""A filesystem or a bootloader of somebody else is one class and one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from debfleet.common import bootloader
from debfleet.common.disk import assemble, layout, states
from debfleet.common.disk.census import Share
from debfleet.common.disk.filesystems import FILESYSTEMS


@dataclass(frozen=True)
class Toy:
    """A filesystem that is a UUID and the names in a folder."""

    made_empty: bool = False
    packages: tuple[str, ...] = ("toyfs-progs",)
    least: int = 0

    def make(self, disk: Path, part: layout.Partition) -> None:
        raise NotImplementedError

    def fill(self, disk: Path, part: layout.Partition, source: Path, masks: Mapping[Path, Path], share: Share) -> None:
        with disk.open("r+b") as file:
            file.seek(part.start)
            file.write(f"{part.uuid} {sorted(path.name for path in source.iterdir())}".encode())

    def uuid(self, disk: Path, part: layout.Partition) -> str | None:
        with disk.open("rb") as file:
            file.seek(part.start)
            return file.read(36).decode()


def test_a_filesystem_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILESYSTEMS, "toyfs", Toy())
    disk, tree = tmp_path / "disk.raw", tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    volume = {"size": None, "partitions": {"type": "none", "root": {"size": "2MiB", "filesystem": "toyfs"}}}
    plan = layout.plan(volume, firmware="bios", bootloader="none", seed="s")
    with disk.open("wb") as file:
        file.truncate(plan.size)
    mapped = states.DiskState("created", "written", {"root": "created"})
    actions = states.plan(mapped, plan, "filled", assemble.made_empty())
    assemble.apply(disk, plan, actions, tree)
    assert disk.read_bytes().startswith(f"{plan.root.uuid} ['etc']".encode())
    assert FILESYSTEMS["toyfs"].uuid(disk, plan.root) == plan.root.uuid


class Loader:
    """A bootloader that needs a package and writes nothing."""

    def packages(self, system: Mapping[str, Any]) -> list[str]:
        return [f"toyloader-{system['architecture']}"]

    def configure(self, tree: Path, plan: layout.Layout, system: Mapping[str, Any], console: str) -> None:
        (tree / "toy.cfg").write_text(console)

    def install(
        self, disk: Path, plan: layout.Layout, tree: Path, system: Mapping[str, Any], *, check_mode: bool = False
    ) -> list[str]:
        return ["MBR"]


def test_a_bootloader_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bootloader.BOOTLOADERS, "toyloader", Loader())
    system = {"architecture": "amd64", "firmware": "bios", "bootloader": "toyloader"}
    volume = {"size": None, "partitions": {"type": "msdos", "root": {"size": "2MiB"}}}
    plan = layout.plan(volume, firmware="bios", bootloader="toyloader", seed="s")
    assert bootloader.packages(system) == ["toyloader-amd64"]
    bootloader.configure(tmp_path, plan, system, "console=tty0")
    assert (tmp_path / "toy.cfg").read_text() == "console=tty0"
    assert bootloader.install(tmp_path / "disk", plan, tmp_path, system) == ["MBR"]
