# SPDX-License-Identifier: GPL-3.0-or-later
"""Filling filesystems: room, modes, commands of the manifest's own, and what is left when it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from debfleet.common.disk import assemble, layout, states
from debfleet.common.disk.formats import convert
from debfleet.common.errors import DebfleetError

pytestmark = pytest.mark.root
MIB = 1 << 20
PATIENCE = 60


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "etc").mkdir(parents=True)
    (made / "etc/hostname").write_text("debfleet\n")
    return made


def planned(partitions: dict[str, Any], bootloader: str = "none") -> layout.Layout:
    volume = {"size": None, "partitions": {"type": "gpt", **partitions}}
    return layout.plan(volume, firmware="bios", bootloader=bootloader, seed="s")


def assembled(disk: Path, plan: layout.Layout, tree: Path) -> layout.Layout:
    for goal in states.GOALS:
        current = assemble.read_current(disk, plan)
        assemble.apply(disk, plan, states.plan(current, plan, goal, assemble.made_empty()), tree)
    return plan


def debugfs(disk: Path, part: layout.Partition, command: str) -> str:
    argv = ["debugfs", "-R", command, f"{disk}?offset={part.start}"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def superblock(disk: Path, part: layout.Partition) -> dict[str, str]:
    lines = debugfs(disk, part, "stats").splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_filesystem_has_the_layouts_uuid_label_and_size(tmp_path: Path, tree: Path) -> None:
    disk = tmp_path / "disk.raw"
    plan = assembled(disk, planned({"root": {"size": "30MiB", "filesystem": "ext4"}}), tree)
    told = superblock(disk, plan.root)
    assert told["Filesystem UUID"] == plan.root.uuid
    assert told["Filesystem volume name"] == "root"
    assert int(told["Block count"]) * int(told["Block size"]) == plan.root.size
    assert "debfleet" in debugfs(disk, plan.root, "cat /etc/hostname")


def test_without_a_map_the_filesystem_takes_the_whole_disk(tmp_path: Path, tree: Path) -> None:
    disk = tmp_path / "disk.raw"
    volume = {"size": None, "partitions": {"type": "none", "root": {"size": "20MiB", "filesystem": "ext4"}}}
    plan = assembled(disk, layout.plan(volume, firmware="bios", bootloader="none", seed="s"), tree)
    assert disk.stat().st_size == plan.size == 20 * MIB
    assert subprocess.run(["e2fsck", "-f", "-n", disk], capture_output=True, check=False).returncode == 0


def test_a_mode_of_the_manifest_and_a_missing_mount_point(tmp_path: Path, tree: Path) -> None:
    small = {"size": "5MiB", "filesystem": "ext4"}
    disk = tmp_path / "disk.raw"
    plan = assembled(disk, planned({"root": small, "srv/scratch": {**small, "mode": "1777"}}), tree)
    scratch = plan.at("/srv/scratch")
    assert scratch is not None
    assert "Mode:  01777" in debugfs(disk, scratch, "stat /")
    assert "Type: directory" in debugfs(disk, plan.root, "stat /srv/scratch")


def test_a_mount_point_that_is_a_link_is_refused(tmp_path: Path, tree: Path) -> None:
    (tree / "srv").symlink_to("/etc")
    disk = tmp_path / "disk.raw"
    small = {"size": "5MiB", "filesystem": "ext4"}
    with pytest.raises(layout.LayoutError, match="/srv/data is a link") as caught:
        assembled(disk, planned({"root": small, "srv/data": small}), tree)
    assert caught.value.where == "volume.partitions.srv/data"
    assert left(tree / "etc") == ["hostname"], "nothing was made behind the link"


def test_a_format_command_makes_the_filesystem(tmp_path: Path, tree: Path) -> None:
    command = ["mkfs.{fs}", "-O", "^64bit", "-L", "mine", "{device_path}"]
    root = {"size": "20MiB", "filesystem": "ext4", "format_command": command}
    swap = {"size": "2MiB", "format_command": ["mkswap", "-U", "{uuid}", "-L", "mine", "{device_path}"]}
    disk = tmp_path / "disk.raw"
    plan = assembled(disk, planned({"root": root, "swap": swap}), tree)
    told = superblock(disk, plan.root)
    assert "64bit" not in told["Filesystem features"]
    assert told["Filesystem volume name"] == "mine"
    assert told["Filesystem UUID"] == plan.root.uuid
    assert "debfleet" in debugfs(disk, plan.root, "cat /etc/hostname")
    assert left(tmp_path) == ["disk.raw", "tree"]


@pytest.mark.parametrize(
    ("filesystem", "command", "words"),
    [
        ("ext4", ["mkfs.xfs", "{device_path}"], "can't fill what it makes"),
        ("ext4", ["mkfs.ext4", "-U", "random", "{device_path}"], "not"),
        ("ext4", ["mkfs.ext4", "{dev}"], "unknown placeholder"),
        ("ext4", ["mkfs.ext4", "--no-such-option", "{device_path}"], "could not make the ext4 of root"),
    ],
)
def test_a_format_command_that_does_not_do(
    tmp_path: Path, tree: Path, filesystem: str, command: list[str], words: str
) -> None:
    root = {"size": "20MiB", "filesystem": filesystem, "format_command": command}
    with pytest.raises(DebfleetError, match=words):
        assembled(tmp_path / "disk.raw", planned({"root": root}), tree)
    assert left(tmp_path) == ["disk.raw", "tree"]


def test_a_tree_too_large_for_its_partition_is_named_with_what_it_needs(tmp_path: Path, tree: Path) -> None:
    (tree / "home").mkdir()
    (tree / "home/large").write_bytes(os.urandom(21 * MIB))
    root = {"size": "40MiB", "filesystem": "ext4"}
    home = {"size": "20MiB", "filesystem": "ext4"}
    with pytest.raises(DebfleetError, match=r"partition home \(/home\) of 20 MiB is too small") as caught:
        assembled(tmp_path / "disk.raw", planned({"root": root, "home": home}), tree)
    assert caught.value.where == "volume.partitions.home.size"
    assert "21" in caught.value.why


def test_what_only_mke2fs_finds_too_large_is_named_as_well(tmp_path: Path, tree: Path) -> None:
    (tree / "large").write_bytes(os.urandom(20 * MIB - 5120 * 256 - 16384))  # all but the blocks that name its blocks
    with pytest.raises(DebfleetError, match="partition root .* of 20 MiB is too small") as caught:
        assembled(tmp_path / "disk.raw", planned({"root": {"size": "20MiB", "filesystem": "ext2"}}), tree)
    assert "Could not allocate" in caught.value.why


def test_kernels_too_large_for_the_esp(tmp_path: Path, tree: Path) -> None:
    (tree / "boot/efi").mkdir(parents=True)
    (tree / "boot/efi/linux").write_bytes(bytes(9 * MIB))
    parts = {"boot/efi": {"size": "8MiB"}, "root": {"size": "40MiB", "filesystem": "ext4"}}
    with pytest.raises(DebfleetError, match="partition esp .* of 8 MiB is too small") as caught:
        assembled(tmp_path / "disk.raw", planned(parts), tree)
    assert "Disk full" in caught.value.why


def test_many_small_files_get_their_inodes(tmp_path: Path, tree: Path) -> None:
    for number in range(3000):
        (tree / f"small{number}").touch()
    disk = tmp_path / "disk.raw"
    plan = assembled(disk, planned({"root": {"size": "8MiB", "filesystem": "ext4"}}), tree)
    assert int(superblock(disk, plan.root)["Inode count"]) > 3000


def test_a_filesystem_that_is_not_there_yet(tmp_path: Path, tree: Path) -> None:
    plan = planned({"root": {"size": "400MiB", "filesystem": "zfs"}})
    with pytest.raises(layout.LayoutError, match="root can't be zfs yet"):
        assembled(tmp_path / "disk.raw", plan, tree)
    assert left(tmp_path) == ["tree"]


FULL = """
import sys
from pathlib import Path
from debfleet.common.disk import assemble, layout, states
from debfleet.common.errors import MissingError
disk, tree = Path(sys.argv[1]), Path(sys.argv[2])
volume = {"size": None, "partitions": {"type": "gpt", "root": {"size": "100MiB", "filesystem": "ext4"}}}
plan = layout.plan(volume, firmware="bios", bootloader="none", seed="s")
try:
    for goal in states.GOALS:
        current = assemble.read_current(disk, plan)
        assemble.apply(disk, plan, states.plan(current, plan, goal, assemble.made_empty()), tree)
except MissingError as error:
    print(error)
"""


def test_a_full_disk_of_the_builder_is_not_taken_for_a_small_partition(tmp_path: Path, tree: Path) -> None:
    (tree / "large").write_bytes(os.urandom(20 * MIB))
    (tmp_path / "small").mkdir()
    script = 'mount -t tmpfs -o size=10M none "$1" && shift && exec "$@"'
    apart = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(tmp_path / "small")]
    argv = [*apart, sys.executable, "-c", FULL, str(tmp_path / "small/disk.raw"), str(tree)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("no room is left where the disk is put together"), done.stderr


SLOW_FILL = """
import sys
from pathlib import Path
from debfleet.common.disk import assemble, layout, states
from debfleet.common.run import raise_on_signals
raise_on_signals()
disk, tree = Path(sys.argv[1]), Path(sys.argv[2])
volume = {"size": None, "partitions": {"type": "gpt", "root": {"size": "9MiB"}, "srv": {"size": "5MiB"}}}
plan = layout.plan(volume, firmware="bios", bootloader="none", seed="s")
for goal in states.GOALS:
    current = assemble.read_current(disk, plan)
    assemble.apply(disk, plan, states.plan(current, plan, goal, assemble.made_empty()), tree)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_fill_leaves_only_the_disk(tmp_path: Path, tree: Path, number: int) -> None:
    (tree / "srv").mkdir()
    disk, shim = tmp_path / "disk.raw", tmp_path / "bin/mke2fs"
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\ntouch {tmp_path}/bin/started\nexec sleep 600\n")
    shim.chmod(0o755)
    environment = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}"}
    argv = [sys.executable, "-c", SLOW_FILL, disk, tree]
    filling = subprocess.Popen(argv, stderr=subprocess.DEVNULL, env=environment)
    until = time.monotonic() + PATIENCE
    while not (shim.parent / "started").exists():
        assert time.monotonic() < until and filling.poll() is None, "it never came to filling"
        time.sleep(0.02)
    assert any(name.startswith(".disk.raw.") for name in left(tmp_path)), "what hides the nested mount point"
    filling.send_signal(number)
    assert filling.wait(PATIENCE) != 0
    assert left(tmp_path) == ["bin", "disk.raw", "tree"]
    mounts = Path("/proc/self/mounts").read_text()
    assert str(tmp_path) not in mounts


MOUNTED_FILL = SLOW_FILL.replace('"9MiB"', '"300MiB", "filesystem": "xfs"').replace(
    '"5MiB"', '"128MiB", "filesystem": "btrfs"'
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_fill_leaves_no_mount_and_no_loop_device(tmp_path: Path, tree: Path, number: int) -> None:
    (tree / "srv").mkdir()
    disk, shim = tmp_path / "disk.raw", tmp_path / "bin/cp"
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\ntouch {tmp_path}/bin/started\nexec sleep 600\n")
    shim.chmod(0o755)
    environment = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}"}
    filling = subprocess.Popen([sys.executable, "-c", MOUNTED_FILL, disk, tree], env=environment)
    until = time.monotonic() + PATIENCE
    while not (shim.parent / "started").exists():
        assert time.monotonic() < until and filling.poll() is None, "it never came to filling"
        time.sleep(0.02)
    assert loops(disk), "it is filled by a loop device"
    assert str(disk) not in Path("/proc/self/mounts").read_text(), "which nobody else sees mounted"
    filling.send_signal(number)
    assert filling.wait(PATIENCE) != 0
    while loops(disk):
        assert time.monotonic() < until, "the loop device is still there"
        time.sleep(0.02)
    if number == signal.SIGTERM:
        assert left(tmp_path) == ["bin", "disk.raw", "tree"]


def loops(disk: Path) -> str:
    """The loop devices of a file."""
    return subprocess.run(["losetup", "--associated", disk], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("filesystem", "size"), [("xfs", 300), ("btrfs", 128)])
def test_a_tree_too_large_for_what_is_mounted(tmp_path: Path, tree: Path, filesystem: str, size: int) -> None:
    known = size - 65 if filesystem == "xfs" else size - 1  # no more than what can't fit is known beforehand
    (tree / "large").write_bytes(os.urandom(MIB) * known)
    root = {"size": f"{size}MiB", "filesystem": filesystem}
    with pytest.raises(DebfleetError, match=f"partition root .* of {size} MiB is too small") as caught:
        assembled(tmp_path / "disk.raw", planned({"root": root}), tree)
    assert "No space left" in caught.value.why, "cp found it"
    assert caught.value.where == "volume.partitions.root.size"
    assert left(tmp_path) == ["disk.raw", "tree"]


@pytest.mark.parametrize("filesystem", ["xfs", "btrfs"])
def test_a_mode_of_the_manifest_for_what_is_mounted(tmp_path: Path, tree: Path, filesystem: str) -> None:
    disk = tmp_path / "disk.raw"
    plan = assembled(disk, planned({"root": {"size": "300MiB", "filesystem": filesystem, "mode": "1770"}}), tree)
    mount = f"mount -o ro,loop,offset={plan.root.start},sizelimit={plan.root.size} {disk} {tree}; stat -c %a {tree}"
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", mount]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "1770\n"


def test_a_format_command_of_xfs_and_btrfs(tmp_path: Path, tree: Path) -> None:
    xfs = ["mkfs.xfs", "-q", "-m", "uuid={uuid}", "-L", "mine", "{device_path}"]
    parts: dict[str, Any] = {"root": {"size": "300MiB", "filesystem": "xfs", "format_command": xfs}}
    disk = tmp_path / "disk.raw"
    plan = assembled(disk, planned(parts), tree)
    assert assemble.read_current(disk, plan).partitions == {"root": "filled"}
    parts["root"]["format_command"] = ["mkfs.btrfs", "--quiet", "{device_path}"]
    with pytest.raises(layout.LayoutError, match="no xfs, not"):
        assembled(disk, planned(parts), tree)


def test_a_disk_becomes_a_qcow2_and_tells_how_far_it_is(tmp_path: Path, tree: Path) -> None:
    from debfleet.common import journal

    disk = tmp_path / "disk.raw"
    assembled(disk, planned({"root": {"size": "30MiB", "filesystem": "ext4"}}), tree)
    for compress in (False, True):
        image = tmp_path / f"disk{compress}.qcow2"
        with journal.writing(tmp_path):
            convert(disk, image, "qcow2", compress="zstd" if compress else "")
        compared = ["qemu-img", "compare", "-f", "raw", "-F", "qcow2", str(disk), str(image)]
        assert subprocess.run(compared, capture_output=True, check=False).returncode == 0
    progress = (tmp_path / journal.PROGRESS).read_text()
    assert '"done": 100' in progress


def test_a_failed_conversion_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DebfleetError):
        convert(tmp_path / "no-disk", tmp_path / "image.qcow2", "qcow2")
    assert left(tmp_path) == []
