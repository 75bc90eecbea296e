# SPDX-License-Identifier: GPL-3.0-or-later
"""One image, broken in eight ways: each names the stage where the boot stops. And what a killed proof leaves."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from plays import wait_for

from debfleet.common.ledger import state_folder
from debfleet.common.libvirt import direct, image_kernel
from debfleet.common.libvirt.attempt import Options
from debfleet.common.libvirt.image import ImageFolder
from debfleet.common.libvirt.machine import Kernel
from debfleet.common.libvirt.proof import prove
from debfleet.common.libvirt.watch import BootError

pytestmark = [pytest.mark.slow, pytest.mark.root]

OPTIONS = Options(firmware=["bios"], timeout=900, quiet=60)
NOWHERE = "00000000-0000-4000-8000-000000000000"


def cmdline(image: ImageFolder) -> str:
    """As the image's kernel gets it."""
    return direct.cmdline(image.machine, image.root_uuid())


@pytest.fixture(scope="module")
def raw(built: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageFolder]:
    """The image as a raw disk in a folder of its own, with its kernel and initramfs beside it."""
    source = ImageFolder.read(built("kvm-amd64"))
    folder = tmp_path_factory.mktemp("raw")
    for name in ("manifest.json", "packages.json"):
        shutil.copy(source.path / name, folder)
    disk = folder / "disk.raw"
    subprocess.run(["qemu-img", "convert", "-f", source.format(), "-O", "raw", source.file(), disk], check=True)
    metadata = {**source.metadata, "file": disk.name, "sha256": None}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    image = ImageFolder.read(folder)
    assert image_kernel.extract(disk, "raw", image.partitions(), folder)
    yield image
    shutil.rmtree(folder)


@pytest.fixture
def copy(raw: ImageFolder, tmp_path: Path) -> Iterator[ImageFolder]:
    """A copy of it to break."""
    folder = tmp_path / "broken"
    folder.mkdir()
    subprocess.run(["cp", "--sparse=always", *raw.path.glob("*.json"), raw.file(), folder], check=True)
    yield ImageFolder.read(folder)
    shutil.rmtree(folder)


def root(image: ImageFolder) -> str:
    """The root filesystem, as debugfs takes it."""
    start = next(part["start"] for part in image.partitions() if part["mount"] == "/")
    return f"{image.file()}?offset={start}"


def stopped(image: ImageFolder, options: Options = OPTIONS) -> BootError:
    with pytest.raises(BootError) as caught:
        prove(image.path, options)
    assert (image.path / "serial.log").exists() and not (image.path / "proof.json").exists()
    assert caught.value.diagnosis.advice and caught.value.diagnosis.lines
    return caught.value


def test_no_boot_sector_stops_in_the_firmware(copy: ImageFolder) -> None:
    with open(copy.file(), "r+b") as disk:
        disk.write(bytes(440))
        disk.seek(510)
        disk.write(bytes(2))
    found = stopped(copy).diagnosis
    assert found.stage == "firmware"
    assert any("No bootable device" in line for line in found.lines)


def test_another_uuid_than_grub_searches_stops_in_the_bootloader(copy: ImageFolder) -> None:
    subprocess.run(["debugfs", "-w", "-R", f"set_super_value uuid {NOWHERE}", root(copy)], check=True)
    found = stopped(copy).diagnosis
    assert found.stage == "bootloader"
    assert any("no such device" in line for line in found.lines)


def test_a_server_that_does_not_start_stops_in_ssh(raw: ImageFolder, copy: ImageFolder, tmp_path: Path) -> None:
    broken = tmp_path / "broken.conf"
    broken.write_text("NoSuchKeyword yes\n")
    write = f"write {broken} /etc/ssh/sshd_config.d/00-broken.conf"
    subprocess.run(["debugfs", "-w", "-R", write, root(copy)], check=True)
    kernel = Kernel(raw.path / "vmlinuz", raw.path / "initrd.img", f"{cmdline(copy)} cloud-init=disabled")
    found = stopped(copy, replace(OPTIONS, kernel=kernel)).diagnosis
    assert found.stage == "ssh"
    assert any("Failed to start" in line and "ssh" in line for line in found.lines)


UNCONFIGURED = "systemd.mask=systemd-networkd.service systemd.mask=systemd-networkd.socket"
# the kernel's command line, whether there is an initramfs, and a word of the lines that must be shown
DIRECT = {
    "kernel": ("", False, "Unable to mount root fs"),
    "initramfs": ("rootdelay=5", True, "does not exist"),
    "init": ("init=/bin/false", True, "Attempted to kill init"),
    "cloud-init": ("cloud-init=disabled", True, ""),
    # cloud-init would only take its time here
    "network": (f"cloud-init=disabled {UNCONFIGURED}", True, "login:"),
}
QUIET = {"network": 20}  # seconds without news until it is given up, where nothing can come any more


@pytest.mark.parametrize("stage", DIRECT)
def test_each_later_stage_is_named(raw: ImageFolder, stage: str) -> None:
    words, initramfs, shown = DIRECT[stage]
    line = f"{cmdline(raw)} {words}"
    if stage == "initramfs":
        line = line.replace(raw.root_uuid(), NOWHERE)
    kernel = Kernel(raw.path / "vmlinuz", raw.path / "initrd.img" if initramfs else None, line)
    before = raw.file().stat()
    found = stopped(raw, replace(OPTIONS, kernel=kernel, quiet=QUIET.get(stage, OPTIONS.quiet))).diagnosis
    assert found.stage == stage
    assert any(shown in line for line in found.lines)
    after = raw.file().stat()
    assert (after.st_mtime_ns, after.st_blocks) == (before.st_mtime_ns, before.st_blocks), "nothing is written to it"


def processes(word: str) -> list[int]:
    """The processes with this word in their command lines, but for our own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


def used_by_others() -> bool:
    """Whether another proof, of a test beside this one, uses the daemon."""
    with open(state_folder() / "libvirt.lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_proof_that_is_killed_leaves_nothing(raw: ImageFolder, number: int) -> None:
    name = f"killed-{os.urandom(4).hex()}"
    (raw.path / "manifest.json").write_text(json.dumps({**raw.manifest, "name": name}))
    alone = not processes("libvirtd")
    code = (
        "from debfleet.common.libvirt.proof import prove\n"
        "from debfleet.common.libvirt.attempt import Options\n"
        "from debfleet.common.run import raise_on_signals\n"
        f"raise_on_signals(); prove({str(raw.path)!r}, Options(firmware=['bios'], accelerator='tcg'))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: processes(f"guest=debfleet-{name}") or process.poll() is not None, "the machine")
        assert process.poll() is None
        process.send_signal(number)
        process.wait()
    finally:
        process.kill()
        (raw.path / "manifest.json").write_text(json.dumps(raw.manifest))
    wait_for(lambda: not processes(f"debfleet-{name}"), "the machine to be gone")
    wait_for(lambda: not list(Path("/tmp").glob(f"debfleet-boot-{process.pid}-*")), "its folder to be gone")
    wait_for(lambda: not list((state_folder() / "ledgers").glob(f"boot-{process.pid}-*.json")), "its ledger to be gone")
    if alone:
        wait_for(lambda: not processes("libvirtd") or used_by_others(), "the daemon to be gone")
