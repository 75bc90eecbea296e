# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest kernel and its initramfs come out of an image of any filesystem, without a mount that stays."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from debfleet.common.disk import assemble, layout, states
from debfleet.common.libvirt import image_kernel

pytestmark = pytest.mark.root


@pytest.mark.parametrize("filesystem", ["ext4", "xfs", "btrfs"])
@pytest.mark.parametrize("boot", [{}, {"boot": {"size": "128MiB", "filesystem": "btrfs"}}], ids=["root", "boot"])
def test_the_newest_kernel_comes_out(tmp_path: Path, filesystem: str, boot: dict[str, dict[str, str]]) -> None:
    tree, disk, into = tmp_path / "tree", tmp_path / "disk.raw", tmp_path / "into"
    (tree / "boot").mkdir(parents=True)
    into.mkdir()
    newest = "vmlinux-6.12-riscv64" if boot else "vmlinuz-6.12-amd64"
    wanted = [newest, f"initrd.img-{newest.partition('-')[2]}"]
    for name in ("vmlinuz-6.9-amd64", "initrd.img-6.9-amd64", *wanted):
        (tree / "boot" / name).write_text(name)
    partitions = {"type": "gpt", **boot, "root": {"size": "300MiB", "filesystem": filesystem}}
    plan = layout.plan({"size": None, "partitions": partitions}, firmware="bios", bootloader="none", seed="s")
    for goal in states.GOALS:
        current = assemble.read_current(disk, plan)
        assemble.apply(disk, plan, states.plan(current, plan, goal, assemble.made_empty()), tree)
    taken = image_kernel.extract(disk, "raw", plan.to_dict()["partitions"], into)
    assert taken is not None and taken[1] is not None
    assert [path.read_text() for path in taken if path] == wanted
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    assert not subprocess.run(["losetup", "--associated", disk], capture_output=True, check=True).stdout
