# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree with every odd thing, written into nested filesystems, is read back as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import disk_torture
import pytest

from debfleet.common import journal
from debfleet.common.disk import assemble, layout, states

pytestmark = pytest.mark.root

VOLUMES: dict[str, dict[str, Any]] = {
    "ext": {
        "size": "256MiB",
        "partitions": {
            "type": "msdos",
            "boot": {"size": "16MiB", "filesystem": "ext2"},
            "swap": {"size": "8MiB"},
            "root": {"size": "64MiB", "filesystem": "ext4"},
            "var": {"size": "40%", "filesystem": "ext3", "mountopts": ["nodev", "nosuid"]},
            "var/tmp": {"size": "remaining", "filesystem": "ext4", "mode": "1777"},
        },
    },
    "mounted": {
        "size": "944MiB",
        "partitions": {
            "type": "msdos",
            "boot": {"size": "128MiB", "filesystem": "btrfs"},
            "swap": {"size": "8MiB"},
            "root": {"size": "300MiB", "filesystem": "xfs"},
            "var": {"size": "128MiB", "filesystem": "btrfs"},
            "var/tmp": {"size": "remaining", "filesystem": "xfs", "mode": "1777"},
        },
    },
}
OPTIONS = {"ext2": "ro", "ext3": "ro,noload", "ext4": "ro,noload", "xfs": "ro,norecovery,nouuid", "btrfs": "ro"}
CHECKERS = {"xfs": ["xfs_repair", "-n"], "btrfs": ["btrfs", "check", "--readonly"]}


def assembled(disk: Path, plan: layout.Layout, tree: Path) -> None:
    for goal in states.GOALS:
        current = assemble.read_current(disk, plan)
        assemble.apply(disk, plan, states.plan(current, plan, goal, assemble.made_empty()), tree)


def read_back(disk: Path, part: layout.Partition, folder: Path) -> dict[str, dict[str, Any]]:
    """The content of a filesystem as the kernel sees it, mounted read-only where nobody else sees it."""
    options = f"{OPTIONS[part.filesystem or '']},loop,offset={part.start},sizelimit={part.size}"
    script = 'mount -t "$1" -o "$2" "$3" "$4" && exec "$5" "$6" "$4"'
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", part.filesystem or "", options]
        + [str(disk), str(folder), sys.executable, disk_torture.__file__],
        capture_output=True,
        text=True,
        check=False,
    )
    if "loop" in done.stderr:
        pytest.skip(f"no loop device to read back by: {done.stderr}")
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module", params=VOLUMES)
def made(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("disk")
    tree, disk = folder / "tree", folder / "disk.raw"
    tree.mkdir()
    disk_torture.plant(tree)
    before = disk_torture.describe(str(tree))
    plan = layout.plan(VOLUMES[request.param], firmware="both", bootloader="grub", seed="torture")
    with journal.writing(folder):
        assembled(disk, plan, tree)
    return {"folder": folder, "tree": tree, "disk": disk, "plan": plan, "before": before}


MOUNTS = ["/", "/boot", "/var", "/var/tmp"]


@pytest.mark.parametrize("mount", MOUNTS)
def test_every_entry_lands_in_its_filesystem_as_it_was(made: Mapping[str, Any], mount: str, tmp_path: Path) -> None:
    part = made["plan"].at(mount)
    inner = tuple(other.removeprefix(mount.rstrip("/")) for other in [*MOUNTS, "/boot/efi"] if other != mount)
    expected = disk_torture.describe(str(made["tree"] / mount.lstrip("/")), inner)
    found = read_back(made["disk"], part, tmp_path)
    for entries in (expected, found):
        for entry in entries.values():
            if len(entry.get("links", [])) < 2:
                entry.pop("links", None)
    assert found.keys() == expected.keys()
    assert {name: entry for name, entry in found.items() if entry != expected[name]} == {}


def test_the_filesystems_are_sound(made: Mapping[str, Any], tmp_path: Path) -> None:
    for mount in MOUNTS:
        part = made["plan"].at(mount)
        argv = ["e2fsck", "-f", "-n", f"{made['disk']}?offset={part.start}"]
        if part.filesystem in CHECKERS:
            copy = tmp_path / "filesystem"
            place = [f"skip={part.start}", f"count={part.size}", "iflag=skip_bytes,count_bytes", "conv=sparse"]
            subprocess.run(["dd", "status=none", "bs=1M", f"if={made['disk']}", f"of={copy}", *place], check=True)
            argv = [*CHECKERS[part.filesystem], str(copy)]
        checked = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_esp_has_the_trees_files(made: Mapping[str, Any]) -> None:
    esp = made["plan"].esp
    listed = subprocess.run(
        ["mdir", "-b", "-/", "-i", f"{made['disk']}@@{esp.start}", "::"], capture_output=True, text=True, check=True
    )
    assert "EFI/tool/file.txt" in listed.stdout
    with made["disk"].open("rb") as disk:
        disk.seek(esp.start + 0x1BE)
        assert disk.read(64) == bytes(64)


def test_the_tree_and_the_folder_are_as_before(made: Mapping[str, Any]) -> None:
    assert disk_torture.describe(str(made["tree"])) == made["before"]
    assert sorted(path.name for path in made["folder"].iterdir()) == ["build.log", "disk.raw", "progress", "tree"]


def test_links_across_filesystems_are_told(made: Mapping[str, Any]) -> None:
    log = (made["folder"] / journal.LOG).read_text()
    assert "hard links to files of another filesystem" in log
    assert "/srv/shared" in log
    assert "/var/lib/shared" in log
    assert "/usr/bin/alias" not in log


def test_the_disk_tells_its_states(made: Mapping[str, Any]) -> None:
    current = assemble.read_current(made["disk"], made["plan"])
    assert current == states.DiskState(
        "created",
        "written",
        {
            "esp": "formatted",
            "boot": "filled",
            "swap": "formatted",
            "root": "filled",
            "var": "filled",
            "var/tmp": "filled",
        },
    )
    done = states.plan(current, made["plan"], "prepared", assemble.made_empty())
    assert done == [], "prepared again changes nothing"


def test_filling_again_leaves_nothing_of_before(made: Mapping[str, Any], tmp_path: Path) -> None:
    part = made["plan"].at("/var/tmp")
    marker = made["tree"] / "var/tmp/only-once"
    marker.write_bytes(b"to be forgotten\n" * 1000)
    try:
        assembled(made["disk"], made["plan"], made["tree"])
        assert "/only-once" in read_back(made["disk"], part, tmp_path)
    finally:
        marker.unlink()
    assembled(made["disk"], made["plan"], made["tree"])
    assert "/only-once" not in read_back(made["disk"], part, tmp_path)
    assert subprocess.run(["grep", "--quiet", "to be forgotten", made["disk"]], check=False).returncode == 1
