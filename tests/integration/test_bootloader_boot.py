# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks boot, by BIOS and by UEFI, and do so still after the image's own tools wrote their bootloader's files anew.

What boots is a small tree whose init does one job and ends: systemd would take most of a minute under emulation, and is
booted elsewhere. Success is a token that only this init says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from debfleet.common import bootloader
from debfleet.common.bootstrap import mirror
from debfleet.common.disk import assemble, layout, states

pytestmark = [pytest.mark.slow, pytest.mark.root]

SUITE = "trixie"
LOADERS = ("grub", "extlinux", "systemd-boot")
PATIENCE = 600  # seconds that an emulated machine may take beside busy neighbours
CONSOLE = "console=tty0 console=ttyS0,115200 init=/test-init"
SYSTEM: dict[str, Any] = {"architecture": "amd64", "firmware": "both"}
TOKEN = uuid.uuid4().hex
FIRMWARE = {"bios": [], "uefi": ["/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_CODE_4M.fd"]}

# The first boot does the job that is given and leaves a marker on the disk; a later one finds it.
INIT = r"""#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
finish() { sync; echo o > /proc/sysrq-trigger; sleep 60; }
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
mount -t proc proc /proc 2>/dev/null; mount -t sysfs sysfs /sys 2>/dev/null
[ ! -d /sys/firmware/efi ] || { echo FIRMWARE=uefi; mount -t efivarfs efivarfs /sys/firmware/efi/efivars; }
[ -d /sys/firmware/efi ] || echo FIRMWARE=bios
set -ex
mount -o remount,rw /
mount -a
swapon -a
findmnt -rn -o TARGET,FSTYPE,OPTIONS -t ext2,ext3,ext4,xfs,btrfs,vfat
cat /proc/swaps /proc/cmdline
if [ -e /marker ]; then
    echo "TOKEN again @TOKEN@"
else
    kernel=$(uname -r)
    case "$(cat /job)" in
        i386-pc) update-grub; grub-install --target=i386-pc /dev/vda ;;
        x86_64-efi) update-grub; grub-install --target=x86_64-efi --removable; grub-install --target=x86_64-efi ;;
        extlinux)
            cp /boot/extlinux/extlinux.conf /before
            /etc/kernel/postinst.d/zz-u-boot-menu "$kernel"
            cmp /boot/extlinux/extlinux.conf /before
            extlinux --install /boot/extlinux ;;
        systemd-boot) # what it writes is what just booted, so it need not boot again
            export SYSTEMD_RELAX_ESP_CHECKS=1 # nobody runs udev here
            entry=/boot/efi/loader/entries/debian-$kernel.conf
            mv "$entry" /before
            rm -r "/boot/efi/debian/$kernel"
            /etc/kernel/postinst.d/zz-systemd-boot "$kernel" "/boot/vmlinuz-$kernel"
            for file in "$entry" /before; do grep -v ^# "$file" > "/$(basename "$file").plain"; done
            diff "/$(basename "$entry").plain" /before.plain
            cmp "/boot/efi/debian/$kernel/linux" "/boot/vmlinuz-$kernel"
            cmp "/boot/efi/debian/$kernel/initrd.img-$kernel" "/boot/initrd.img-$kernel" ;;
    esac
    touch /marker
    echo "TOKEN first @TOKEN@"
fi
set +ex
finish
"""


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar of a small system with a kernel and what the bootloader needs."""
    source = mirror.plan(mirror.Wish(suite=SUITE), mirror.read_builder(), mirror.tool_default(SUITE, ["main"])).needed
    packages = [name for one in LOADERS for name in bootloader.packages({**SYSTEM, "bootloader": one})]
    packages += ["xfsprogs", "btrfs-progs"]
    tar = tmp_path_factory.mktemp("base") / "tree.tar"
    include = ["linux-image-cloud-amd64", "initramfs-tools", "zstd", "kmod", "udev", *packages]
    settings = [f"--aptopt={line}" for line in mirror.read_builder().settings]
    environment = {**os.environ, "TMPDIR": "/dev/shm"}
    argv = ["mmdebstrap", "--variant=minbase", f"--include={','.join(include)}", *settings, SUITE, str(tar)]
    done = subprocess.run([*argv, source.line()], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tar


@pytest.fixture
def tree(base: Path, tmp_path: Path) -> Iterator[Path]:
    made = Path("/dev/shm") / f"debfleet-test-{os.getpid()}-{tmp_path.name}"
    made.mkdir()
    try:
        subprocess.run(["tar", "-C", made, "--xattrs", "--xattrs-include=*", "-xpf", base], check=True)
        init = made / "test-init"
        init.write_text(INIT.replace("@TOKEN@", TOKEN))
        init.chmod(0o755)
        yield made
    finally:
        shutil.rmtree(made)


def image(
    disk: Path, tree: Path, volume: dict[str, Any], firmware: str, job: str, loader: str = "grub"
) -> layout.Layout:
    """The disk of a tree, as a build makes it."""
    plan = layout.plan(volume, firmware=firmware, bootloader=loader, seed=disk.name)
    system = {**SYSTEM, "firmware": firmware, "bootloader": loader}
    (tree / "etc/fstab").write_text(layout.fstab(plan))
    (tree / "job").write_text(job)
    bootloader.configure(tree, plan, system, CONSOLE)
    for goal in states.GOALS:
        current = assemble.read_current(disk, plan)
        assemble.apply(disk, plan, states.plan(current, plan, goal, assemble.made_empty()), tree)
    assert bootloader.install(disk, plan, tree, system, check_mode=True) != []
    assert bootloader.install(disk, plan, tree, system) != []
    assert bootloader.install(disk, plan, tree, system) == [], "a second time changes nothing"
    return plan


def boot(disk: Path, firmware: str) -> str:
    """What the machine says on its serial console until it is off."""
    argv = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1", "-m", "768"]
    argv += ["-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot", "-nic", "none"]
    argv += ["-drive", f"file={disk},format=raw,if=virtio"]
    if firmware == "uefi":
        code = next(path for path in FIRMWARE["uefi"] if Path(path).exists())
        variables = disk.with_suffix(".vars")
        if not variables.exists():
            shutil.copyfile(code.replace("CODE", "VARS"), variables)
        argv += ["-drive", f"if=pflash,format=raw,readonly=on,file={code}"]
        argv += ["-drive", f"if=pflash,format=raw,file={variables}"]
    log = disk.with_suffix(".log")
    with (
        log.open("wb") as output,
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as machine,
    ):
        try:
            until = time.monotonic() + PATIENCE
            while machine.poll() is None and time.monotonic() < until:
                if "Kernel panic" in log.read_text(errors="replace"):
                    break
                time.sleep(0.2)
        finally:
            machine.kill()
    return log.read_text(errors="replace").replace("\r", "")


def test_an_mbr_disk_with_logical_partitions_and_its_own_boot(tree: Path, tmp_path: Path) -> None:
    partitions = {
        "type": "msdos",
        "boot": {"size": "200MiB", "filesystem": "ext2"},
        "swap": {"size": "64MiB"},
        "root": {"size": "900MiB", "filesystem": "ext4"},
        "var": {"size": "300MiB", "filesystem": "ext4", "mountopts": ["nodev"]},
        "var/tmp": {"size": "remaining", "filesystem": "ext3", "mode": "1777"},
    }
    disk = tmp_path / "mbr.raw"
    plan = image(disk, tree, {"size": "1600MiB", "partitions": partitions}, "bios", "i386-pc")
    said = boot(disk, "bios")
    assert f"TOKEN first {TOKEN}" in said, said[-3000:]
    assert "FIRMWARE=bios" in said
    assert "/var ext4 rw,nodev," in said
    assert "/var/tmp ext3 rw" in said
    assert "/dev/vda2" in said, "swap is on"
    assert f"root=UUID={plan.root.uuid} ro {CONSOLE}" in said
    again = boot(disk, "bios")
    assert f"TOKEN again {TOKEN}" in again, again[-3000:]


def test_a_gpt_disk_that_bios_and_uefi_boot(tree: Path, tmp_path: Path) -> None:
    partitions = {"type": "gpt", "root": {"size": "remaining", "filesystem": "ext4"}}
    disk = tmp_path / "hybrid.raw"
    image(disk, tree, {"size": "1200MiB", "partitions": partitions}, "both", "x86_64-efi")
    said = boot(disk, "uefi")
    assert f"TOKEN first {TOKEN}" in said, said[-3000:]
    assert "FIRMWARE=uefi" in said
    assert "/boot/efi vfat rw" in said
    again = boot(disk, "uefi")
    assert f"TOKEN again {TOKEN}" in again, again[-3000:]
    bios = boot(disk, "bios")
    assert f"TOKEN again {TOKEN}" in bios and "FIRMWARE=bios" in bios, bios[-3000:]


def test_extlinux_on_an_mbr_with_its_own_boot_and_btrfs_for_root(tree: Path, tmp_path: Path) -> None:
    partitions = {
        "type": "msdos",
        "boot": {"size": "200MiB", "filesystem": "ext4"},
        "root": {"size": "remaining", "filesystem": "btrfs"},
    }
    disk = tmp_path / "extlinux.raw"
    plan = image(disk, tree, {"size": "1400MiB", "partitions": partitions}, "bios", "extlinux", "extlinux")
    said = boot(disk, "bios")
    assert f"TOKEN first {TOKEN}" in said, said[-3000:]
    assert "/ btrfs rw" in said and "/boot ext4 rw" in said
    assert f"root=UUID={plan.root.uuid} ro {CONSOLE}" in said
    again = boot(disk, "bios")
    assert f"TOKEN again {TOKEN}" in again, again[-3000:]


def test_systemd_boot_and_xfs_for_root(tree: Path, tmp_path: Path) -> None:
    partitions = {"type": "gpt", "root": {"size": "remaining", "filesystem": "xfs"}}
    disk = tmp_path / "systemd-boot.raw"
    plan = image(disk, tree, {"size": "1800MiB", "partitions": partitions}, "uefi", "systemd-boot", "systemd-boot")
    said = boot(disk, "uefi")
    assert f"TOKEN first {TOKEN}" in said, said[-3000:]
    assert "/ xfs rw" in said and "FIRMWARE=uefi" in said
    assert f"root=UUID={plan.root.uuid} ro {CONSOLE}" in said
