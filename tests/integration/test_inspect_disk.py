# SPDX-License-Identifier: GPL-3.0-or-later
"""Real disks read without being changed: every format, nested filesystems, broken ones, and no trace left behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests/unit"))
from inspect_tree import BUILDER, make, put  # noqa: E402

from debfleet.cli import main  # noqa: E402
from debfleet.common import inspect  # noqa: E402
from debfleet.common.errors import DebfleetError  # noqa: E402
from debfleet.common.inspect import reader  # noqa: E402

pytestmark = pytest.mark.root

MIB = 1024**2
ROOT_UUID, VAR_UUID, ESP_ID = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222", "ABCD1234"
PARTITIONS = {
    "esp": (1, 40, "U"),
    "swap": (41, 8, "S"),
    "root": (49, 40, "L"),
    "var": (89, 40, "L"),
    "gap": (129, 8, "L"),
}
FSTAB = f"UUID={ROOT_UUID} / ext4 errors=remount-ro 0 1\nUUID={VAR_UUID} /var ext4 defaults 0 2\n"


def tool(*argv: str | Path, text: str = "") -> None:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    env = {**os.environ, "PATH": path}
    subprocess.run([str(word) for word in argv], input=text, text=True, check=True, capture_output=True, env=env)


def filesystem(disk: Path, name: str, tree: Path, uuid: str) -> None:
    start, size, _ = PARTITIONS[name]
    options = f"offset={start * MIB},nodiscard,root_owner=0:0"
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-U", uuid, "-E", options, "-d", tree, disk, f"{size}m")


def make_disk(folder: Path) -> Path:
    """A GPT disk with an ESP, swap, a root, a /var of its own, and a partition that was never used."""
    tree, var, disk = make(folder / "root"), folder / "var", folder / "disk.raw"
    put(tree, "etc/fstab", FSTAB + f"UUID={ESP_ID[:4]}-{ESP_ID[4:]} /boot/efi vfat umask=0077 0 1\n")
    shutil.copytree(tree / "var", var)
    shutil.rmtree(tree / "var")
    (tree / "var").mkdir()
    for top in (folder / "root/tmp", var / "tmp"):
        top.chmod(0o1777)
    with disk.open("wb") as file:
        file.truncate(140 * MIB)
    lines = [
        f"start={start}MiB,size={size}MiB,type={kind},name={name}" for name, (start, size, kind) in PARTITIONS.items()
    ]
    tool("sfdisk", "-q", "--no-reread", "--no-tell-kernel", disk, text="label: gpt\n" + "\n".join(lines) + "\n")
    esp = f"{disk}@@{MIB}"
    tool("mformat", "-i", esp, "-F", "-T", str(40 * MIB // 512), "-N", ESP_ID, "::")
    tool("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT", "::/loader")
    filesystem(disk, "root", tree, ROOT_UUID)
    filesystem(disk, "var", var, VAR_UUID)
    swap = folder / "swap"
    with swap.open("wb") as file:
        file.truncate(8 * MIB)
    tool("mkswap", swap)
    splice(disk, 41 * MIB, swap.read_bytes())
    return disk


def splice(disk: Path, place: int, data: bytes) -> None:
    with disk.open("r+b") as file:
        file.seek(place)
        file.write(data)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disk(tmp_path_factory.mktemp("disk"))


@pytest.fixture
def disk(clean: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    copy = tmp_path / "disk.raw"
    tool("cp", "--sparse=always", clean, copy)
    return copy


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ledgers and temporary files of the test alone."""
    for name in ("state", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("debfleet.common.ledger.state_folder", lambda: tmp_path / "state")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def nothing_left(state: Path) -> Iterator[None]:
    """No mount, no loop device, no ledger and no temporary file outlives a test."""
    yield
    folder = state.parent
    assert held(folder) == []
    assert list((folder / "tmp").iterdir()) == []
    assert list((state / "ledgers").glob("*.json")) == []


def held(folder: Path) -> list[str]:
    """Mounts of any process, and loop devices, that have to do with a folder."""
    found = []
    for info in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            found += [f"{info}: {line}" for line in info.read_text().splitlines() if str(folder) in line]
        except OSError:
            continue
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            found += [str(backing)] if str(folder) in backing.read_text() else []
        except OSError:
            continue
    return found


def look(image: Path) -> inspect.Report:
    return inspect.report(image, None, host=BUILDER)


def failing(report: inspect.Report) -> set[str]:
    return {check.name for check in report.checks if not check.ok}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_clean_disk_is_clean_and_stays_as_it_is(clean: Path) -> None:
    before = digest(clean), clean.stat().st_mtime_ns
    report = look(clean)
    assert report.ok, report.to_text()
    assert (digest(clean), clean.stat().st_mtime_ns) == before
    looked = {check.name: check.looked_at for check in report.checks}
    assert looked["disk"] == [
        "partition 1 (vfat)",
        "partition 2 (swap)",
        "partition 3 (ext4)",
        "partition 4 (ext4)",
        "partition 5 (nothing recognised)",
    ]
    assert len(looked["filesystems"]) == 3


@pytest.mark.parametrize("form", ["qcow2", "vmdk", "vdi", "vpc"])
def test_other_formats_are_read_as_well(clean: Path, tmp_path: Path, form: str) -> None:
    image = tmp_path / f"image.{form}"
    tool("qemu-img", "convert", "-f", "raw", "-O", form, clean, image)
    before = digest(image)
    report = look(image)
    assert report.ok, report.to_text()
    assert digest(image) == before


def test_a_disk_without_a_partition_map(tmp_path: Path) -> None:
    tree, disk = make(tmp_path / "root"), tmp_path / "disk.raw"
    put(tree, "etc/fstab", f"UUID={ROOT_UUID} / ext4 defaults 0 1\n")
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-U", ROOT_UUID, "-d", tree, disk, "40m")
    report = look(disk)
    assert report.ok, report.to_text()


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_other_filesystems(tmp_path: Path, kind: str) -> None:
    if shutil.which(f"mkfs.{kind}", path="/usr/sbin:/sbin:/usr/bin") is None:
        pytest.skip(f"mkfs.{kind} is not installed")
    tree, disk = make(tmp_path / "root"), tmp_path / "disk.raw"
    put(tree, "etc/fstab", f"UUID={ROOT_UUID} / {kind} defaults 0 0\n")
    put(tree, "tmp/left")
    with disk.open("wb") as file:
        file.truncate(600 * MIB)
    if kind == "btrfs":
        tool("mkfs.btrfs", "-q", "-U", ROOT_UUID, "--rootdir", tree, disk)
    else:
        fill = 'mount -t xfs -o loop "$1" /mnt && cp -a "$2/." /mnt/ && umount /mnt'
        tool("mkfs.xfs", "-q", "-m", f"uuid={ROOT_UUID}", disk)
        tool("unshare", "--mount", "sh", "-c", fill, "sh", disk, tree)
    before = digest(disk)
    report = look(disk)
    assert report.troubles() == ["temporary-files: /tmp/left: a temporary file; remove it when cleaning"]
    assert digest(disk) == before


def test_an_msdos_disk_with_a_logical_partition(tmp_path: Path) -> None:
    tree, disk = make(tmp_path / "root"), tmp_path / "disk.raw"
    put(tree, "etc/fstab", "PARTUUID=0000abcd-05 / ext4 defaults 0 1\n")
    with disk.open("wb") as file:
        file.truncate(60 * MIB)
    table = "label: dos\nlabel-id: 0xabcd\nstart=1MiB,size=58MiB,type=5\nstart=2MiB,size=40MiB,type=83\n"
    tool("sfdisk", "-q", "--no-reread", "--no-tell-kernel", disk, text=table)
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={2 * MIB}", "-d", tree, disk, "40m")
    report = look(disk)
    assert report.ok, report.to_text()


def write_into(disk: Path, partition: str, path: str, text: str = "x\n") -> None:
    """A file planted into a filesystem of the disk."""
    place = f"{disk}?offset={PARTITIONS[partition][0] * MIB}"
    source = disk.parent / "planted"
    source.write_text(text)
    for command in (f"mkdir {os.path.dirname(path)}", f"write {source} {path}"):
        tool("debugfs", "-w", "-R", command, place)


def plant_key(disk: Path) -> None:
    write_into(disk, "root", "/etc/ssh/ssh_host_rsa_key")


def plant_log_on_var(disk: Path) -> None:
    write_into(disk, "var", "/log/dpkg.log")


def plant_seed_on_esp(disk: Path) -> None:
    seed = disk.parent / "seed"
    seed.write_bytes(b"x" * 32)
    tool("mcopy", "-i", f"{disk}@@{MIB}", seed, "::/loader/random-seed")


def break_root(disk: Path) -> None:
    tool("debugfs", "-w", "-R", "clri /etc/hosts", f"{disk}?offset={PARTITIONS['root'][0] * MIB}")


def break_esp(disk: Path) -> None:
    esp = bytearray(disk.read_bytes()[MIB : 41 * MIB])
    reserved, fats = int.from_bytes(esp[14:16], "little"), esp[16]
    length = int.from_bytes(esp[36:40], "little") * 512
    assert fats == 2
    splice(disk, MIB + reserved * 512 + length + 64, b"\x55" * 64)  # the second table no longer equals the first


def break_fstab(disk: Path) -> None:
    tool("debugfs", "-w", "-R", "rm /etc/fstab", f"{disk}?offset={PARTITIONS['root'][0] * MIB}")
    write_into(disk, "root", "/etc/fstab", FSTAB + "UUID=33333333-3333-4333-8333-333333333333 /srv ext4 defaults 0 2\n")


@pytest.mark.parametrize(
    ("plant", "check", "what"),
    [
        (plant_key, "ssh-host-keys", "/etc/ssh/ssh_host_rsa_key"),
        (plant_log_on_var, "logs", "/var/log/dpkg.log"),
        (plant_seed_on_esp, "random-seeds", "ESP:/loader/random-seed"),
        (break_root, "filesystems", "partition 3 (ext4)"),
        (break_esp, "filesystems", "partition 1 (vfat)"),
        (break_fstab, "fstab", "UUID=33333333-3333-4333-8333-333333333333"),
    ],
)
def test_a_problem_on_a_disk_is_named(disk: Path, plant: Callable[[Path], None], check: str, what: str) -> None:
    plant(disk)
    report = look(disk)
    assert check in failing(report)
    assert any(line.startswith(f"{check}: ") and what in line for line in report.troubles()), report.to_text()


def test_a_disk_whose_journal_was_not_replayed_is_named_and_left_alone(disk: Path) -> None:
    place = f"{disk}?offset={PARTITIONS['var'][0] * MIB}"
    tool("debugfs", "-w", "-R", "feature needs_recovery", place)
    before = digest(disk)
    assert "filesystems" in failing(look(disk))
    assert digest(disk) == before


@pytest.mark.parametrize(
    ("data", "at", "what"),
    [
        (b"LUKS\xba\xbe\x00\x02" + bytes(4088), 0, "partition 4 (crypto_LUKS)"),
        (b"hsqs" + bytes(24) + b"\x04\x00\x00\x00" + bytes(64), 0, "partition 4"),
        (os.urandom(65536), 0, "partition 4 (nothing recognised)"),
    ],
)
def test_what_can_not_be_read_is_said_and_never_taken_for_clean(disk: Path, data: bytes, at: int, what: str) -> None:
    start, size, _ = PARTITIONS["var"]
    splice(disk, start * MIB, bytes(size * MIB))
    splice(disk, start * MIB + at, data)
    report = look(disk)
    unread = {check.name: check.unread for check in report.checks}["disk"]
    assert any(line.startswith(what) for line in unread), report.to_text()
    assert not report.ok


def test_a_broken_superblock_is_said(disk: Path) -> None:
    splice(disk, PARTITIONS["root"][0] * MIB + 1024 + 24, b"\xff" * 4)  # a block size that can't be
    report = look(disk)
    unread = {check.name: check.unread for check in report.checks}
    assert unread["disk"] and unread["ssh-host-keys"]
    assert not report.ok


def test_noise_is_no_image_that_passes(tmp_path: Path) -> None:
    (tmp_path / "noise.raw").write_bytes(os.urandom(MIB))
    report = look(tmp_path / "noise.raw")
    assert not report.ok
    assert "the whole disk (nothing recognised)" in report.to_text()


def test_a_truncated_disk_is_said(disk: Path) -> None:
    os.truncate(disk, 100 * MIB)
    assert not look(disk).ok


def test_a_damaged_qcow2_is_an_error(tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    tool("qemu-img", "create", "-f", "qcow2", image, "10M")
    os.truncate(image, 100)
    with pytest.raises(DebfleetError):
        look(image)


def test_an_overlay_is_no_finished_image(clean: Path, tmp_path: Path) -> None:
    tool("qemu-img", "create", "-f", "qcow2", "-b", clean, "-F", "raw", tmp_path / "overlay.qcow2")
    with pytest.raises(DebfleetError, match="only what differs"):
        look(tmp_path / "overlay.qcow2")


def test_at_the_prompt(clean: Path, disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant_key(disk)
    assert main(["image", "inspect", str(clean)]) == 0
    assert main(["image", "inspect", str(disk)]) == 1
    assert "/etc/ssh/ssh_host_rsa_key" in capsys.readouterr().out
    assert main(["image", "inspect", "--json", str(disk)]) == 1
    assert '"schema_version": 1' in capsys.readouterr().out
    assert main(["image", "inspect", str(disk) + ".nothing"]) == 4


HOLD = """
import sys, time
from pathlib import Path
from debfleet.common import ledger
from debfleet.common.inspect import reader
from debfleet.common.inspect.host import Host
ledger.state_folder = lambda: Path(sys.argv[2])
with reader.opened(Path(sys.argv[1]), None, Host(), None) as subject:
    print(subject.root.text("/etc/hostname"), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_stays_mounted_when_the_inspection_is_killed(clean: Path, state: Path, number: signal.Signals) -> None:
    image = state.parent / "image.qcow2"
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", clean, image)
    process = subprocess.Popen([sys.executable, "-c", HOLD, image, state], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "machine\n"
    assert held(state.parent), "nothing is mounted: the test would prove nothing"
    process.send_signal(number)
    process.wait()
    process.stdout.close()
    until = time.monotonic() + 60
    while held(state.parent) and time.monotonic() < until:
        time.sleep(0.1)
    assert held(state.parent) == []
    from debfleet.common.ledger import heal

    heal()  # what SIGKILL left is only files, and the next start removes them


def test_the_image_can_not_be_written_while_it_is_open(clean: Path, tmp_path: Path) -> None:
    with reader.opened(clean, None, BUILDER, tmp_path / "tmp") as subject:
        for place in ("etc/x", "var/x"):
            with pytest.raises(OSError, match="Read-only"):
                (subject.root.top / place).write_text("x")


def test_a_whole_build_folder_is_looked_at_with_its_manifest(disk: Path, tmp_path: Path) -> None:
    write_into(disk, "root", "/root/.ssh/authorized_keys", "ssh-ed25519 AAAA me\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    disk.rename(folder / "disk.raw")
    asked = '{"plugins": {"file_copy": {"files": [{"dst": "/root/.ssh/authorized_keys"}]}}}'
    assert main(["image", "inspect", "-q", str(folder)]) == 1
    (folder / "manifest.json").write_text(asked)
    assert main(["image", "inspect", "-q", str(folder)]) == 0
