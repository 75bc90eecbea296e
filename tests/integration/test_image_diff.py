# SPDX-License-Identifier: GPL-3.0-or-later
"""Real disks compared: two formats of the same bytes are the same; nested filesystems, ESP and layout are looked at."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests/unit"))
from test_inspect_disk import MIB, PARTITIONS, VAR_UUID, filesystem, make_disk, tool  # noqa: E402

from debfleet.cli import main  # noqa: E402
from debfleet.common.compare import compare  # noqa: E402
from debfleet.common.errors import DebfleetError  # noqa: E402

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disk(tmp_path_factory.mktemp("diff"))


def test_other_formats_of_a_disk_are_the_same(disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool("qemu-img", "convert", "-O", "qcow2", disk, tmp_path / "b.qcow2")
    assert main(["image", "diff", str(disk), str(tmp_path / "b.qcow2")]) == 0
    assert "nothing differs" in capsys.readouterr().out


def test_what_differs_on_a_disk(disk: Path, tmp_path: Path) -> None:
    other, var = tmp_path / "disk.raw", tmp_path / "var"
    shutil.copy(disk, other)
    shutil.copytree(disk.parent / "var", var, symlinks=True)
    (var / "tmp").chmod(0o1777)
    (var / "new").write_text("x")
    filesystem(other, "var", var, VAR_UUID)
    start, _, _ = PARTITIONS["var"]
    tool("e2label", f"{other}?offset={start * MIB}", "other")
    tool("mmd", "-i", f"{other}@@{MIB}", "::/EFI/other")
    tool("mcopy", "-i", f"{other}@@{MIB}", var / "new", "::/EFI/other/file")
    (tmp_path / "metadata.json").write_text(json.dumps({"file": other.name, "sha256": "0" * 64}))
    boot = {"firmware": "bios", "accelerator": "tcg", "seconds": 60.0, "reached": {"ssh": 50.0}}
    (tmp_path / "proof.json").write_text(json.dumps({"sha256": "0" * 64, "boots": [boot]}))
    found = compare(disk, other)
    assert found.added == ["/var/new", "ESP:/EFI/other", "ESP:/EFI/other/file"]
    assert (found.removed, dict(found.changed), found.unread) == ([], {}, [])
    assert found.layout == {"partition 4: label": [None, "other"]}
    assert found.b.boots == {"bios": boot}
    assert not found.same


def test_boot_times_side_by_side(disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a proof of other bytes nothing is told."""
    folders = []
    for name, seconds, proven in (("a", 60.0, "1"), ("b", 45.0, "1"), ("c", 30.0, "2")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "disk.raw").symlink_to(disk)
        (folder / "metadata.json").write_text(json.dumps({"file": "disk.raw", "sha256": "1"}))
        boot = {"firmware": "bios", "accelerator": "tcg", "seconds": seconds, "reached": {"ssh": seconds - 9}}
        (folder / "proof.json").write_text(json.dumps({"sha256": proven, "boots": [boot]}))
        folders.append(str(folder))
    assert main(["image", "diff", "--show", "boot", *folders[:2]]) == 0, "a boot time alone is no difference"
    said = capsys.readouterr().out
    assert "boot      bios 60 s → 45 s (tcg)" in said
    assert "bios  ssh            51 s → 36 s" in said
    assert main(["image", "diff", *folders[1:]]) == 0
    assert "not both are proven" in capsys.readouterr().out


def test_what_is_no_system(tmp_path: Path, disk: Path) -> None:
    (tmp_path / "empty.raw").write_bytes(bytes(MIB))
    with pytest.raises(DebfleetError, match="no system in this image"):
        compare(disk, tmp_path / "empty.raw")


def test_nothing_is_left(disk: Path) -> None:
    loops = subprocess.run(["losetup", "--all"], capture_output=True, text=True, check=True).stdout
    assert str(disk.parent) not in loops
    assert str(disk.parent) not in Path("/proc/self/mountinfo").read_text()
