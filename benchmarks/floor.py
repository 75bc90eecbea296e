# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor: the least that makes a bootable image with plain tools, by hand, nothing checked and nothing told.

    python benchmarks/floor.py SUITE FOLDER IMAGE.qcow2 PACKAGE…

mmdebstrap makes the tree in FOLDER (in memory), with one initramfs, at the end; sfdisk, mke2fs, mtools and grub-mkimage
make of it a GPT disk of 2 GiB that boots by BIOS and by UEFI; qemu-img makes that a qcow2. On stdout: seconds by step.
To be run in a namespace of its own (`debfleet.common.namespace.apart`): mmdebstrap binds the host's /dev into its tree,
and who removes the tree of one that was interrupted would remove what is bound there.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from debfleet.common.bootstrap import mirror

MIB = 1 << 20
SECTOR = 512
SIZE, CORE_AT, ESP_AT, ROOT_AT = 2048, 1, 2, 66  # MiB: the disk, bios_grub, ESP, root to the last MiB
ESP_SIZE, ROOT_SIZE = ROOT_AT - ESP_AT, SIZE - 1 - ROOT_AT
UUID, SERIAL = "5b1c6a52-3f5e-4d1b-9a55-1f0d3c7e9a01", "5B1C-6A52"
TABLE = f"""\
label: gpt
start={CORE_AT}MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649
start={ESP_AT}MiB, size={ESP_SIZE}MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
start={ROOT_AT}MiB, size={ROOT_SIZE}MiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
"""
CONSOLE = "console=tty0 console=ttyS0,115200"
FSTAB = f"UUID={UUID} / ext4 errors=remount-ro 0 1\nUUID={SERIAL} /boot/efi vfat umask=0077,nofail 0 2\n"
EMBEDDED = f"search.fs_uuid {UUID} root\nset prefix=($root)/boot/grub\n"
MODULES = ["normal", "configfile", "linux", "search", "search_fs_uuid", "part_gpt", "ext2", "serial", "terminal"]
MODULES += ["echo", "test", "all_video", "gzio"]
# Run by mmdebstrap as its last hook, in the tree's namespace; the files' times tell how long it took.
INITRAMFS = """\
set -e
touch "$0.begin"
env -u INITRD chroot "$1" sh -c 'update-initramfs -c -k "$(linux-version list)"'
touch "$0.end"
"""


def mmdebstrap(folder: Path, suite: str, include: Sequence[str], *more: str) -> list[str]:
    """What a user types for a tree in FOLDER/tree, with the mirror and the apt settings that debfleet uses here."""
    plan = mirror.plan(mirror.Wish(suite), mirror.read_builder(), mirror.tool_default(suite, ["main"]))
    sources = "".join(f"{source.line()}\n" for source in (plan.needed, *(pocket[0] for pocket in plan.pockets)))
    (folder / "list").write_text(sources)
    return [
        "mmdebstrap",
        "--mode=root",
        "--quiet",
        "--variant=minbase",
        *(f"--aptopt={line}" for line in plan.settings),
        *([f"--include={','.join(include)}"] if include else []),
        *more,
        suite,
        str(folder / "tree"),
        str(folder / "list"),
    ]


def call(*argv: str | Path, stdin: str = "", **variables: str) -> None:
    """Run a program. Raises CalledProcessError, and what the program said stands on stderr."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **variables}
    subprocess.run([str(word) for word in argv], input=stdin, text=True, env=environment, stdout=2, check=True)


@contextmanager
def timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Write down how long a step takes."""
    start = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - start, 2)


def menu(kernel: str) -> str:
    """The text of grub.cfg, for a kernel's version."""
    return f"""\
set timeout=1
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
menuentry Debian {{
    search --no-floppy --fs-uuid --set=root {UUID}
    linux /boot/vmlinuz-{kernel} root=UUID={UUID} ro {CONSOLE}
    initrd /boot/initrd.img-{kernel}
}}
"""


def make_tree(suite: str, folder: Path, packages: Sequence[str], seconds: dict[str, float]) -> Path:
    """The tree, with its initramfs, fstab and grub's menu."""
    script = folder / "initramfs"
    script.write_text(INITRAMFS)
    hook = f'--customize-hook=sh {script} "$1"'
    with timed("packages", seconds):
        call(*mmdebstrap(folder, suite, packages, hook), INITRD="No")
    begin, end = (script.with_suffix(f".{name}").stat().st_mtime for name in ("begin", "end"))
    seconds["initramfs"] = round(end - begin, 2)
    seconds["packages"] = round(seconds["packages"] - seconds["initramfs"], 2)
    tree = folder / "tree"
    (kernel,) = (path.name.removeprefix("vmlinuz-") for path in (tree / "boot").glob("vmlinuz-*"))
    (tree / "etc/fstab").write_text(FSTAB)
    (tree / "boot/grub").mkdir(exist_ok=True)
    (tree / "boot/efi").mkdir(exist_ok=True)
    (tree / "boot/grub/grub.cfg").write_text(menu(kernel))
    return tree


def make_disk(tree: Path, disk: Path) -> None:
    """The disk, with its map and its filesystems."""
    with disk.open("wb") as file:
        file.truncate(SIZE * MIB)
    call("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", disk, stdin=TABLE)
    options = f"offset={ROOT_AT * MIB},nodiscard,assume_storage_prezeroed=1"
    call("mke2fs", "-q", "-F", "-t", "ext4", "-U", UUID, "-L", "root", "-E", options, "-d", tree, disk, f"{ROOT_SIZE}M")
    geometry = ["-T", str(ESP_SIZE * MIB // SECTOR), "-F", "-h", "255", "-s", "63", "-H", str(ESP_AT * MIB // SECTOR)]
    call("mformat", "-i", f"{disk}@@{ESP_AT}M", *geometry, "-N", SERIAL.replace("-", ""), "-v", "ESP", "::", TZ="UTC")


def make_core(tree: Path, folder: Path, platform: str, *more: str) -> Path:
    """grub's core image, which finds its menu by the root filesystem's UUID."""
    (folder / "load.cfg").write_text(EMBEDDED)
    core = folder / f"{platform}.core"
    where: list[str | Path] = [
        "-d",
        tree / "usr/lib/grub" / platform,
        "-p",
        "/boot/grub",
        "-c",
        folder / "load.cfg",
        "-o",
        core,
    ]
    call("grub-mkimage", "-O", platform, *where, *MODULES, *more)
    return core


def make_bootable(tree: Path, folder: Path, disk: Path) -> None:
    """The bootloader, as grub-bios-setup and grub-install --removable put it there."""
    esp = f"{disk}@@{ESP_AT}M"
    call("mmd", "-i", esp, "::EFI", "::EFI/BOOT")
    call("mcopy", "-i", esp, make_core(tree, folder, "x86_64-efi"), "::EFI/BOOT/BOOTX64.EFI")
    core = bytearray(make_core(tree, folder, "i386-pc", "biosdisk").read_bytes())
    core += bytes(-len(core) % SECTOR)
    sector = CORE_AT * MIB // SECTOR
    struct.pack_into("<QHH", core, 0x1F4, sector + 1, len(core) // SECTOR - 1, 0x820)
    boot = bytearray((tree / "usr/lib/grub/i386-pc/boot.img").read_bytes())
    with disk.open("r+b") as file:
        boot[0x1B8:0x1FE] = file.read(SECTOR)[0x1B8:0x1FE]
        struct.pack_into("<Q", boot, 0x5C, sector)
        boot[0x64] = 0xFF
        boot[0x66:0x68] = b"\x90\x90"
        file.seek(0)
        file.write(boot)
        file.seek(sector * SECTOR)
        file.write(core)


def main() -> None:
    """Make the image that the command line names."""
    suite, folder, image, *packages = sys.argv[1:]
    seconds: dict[str, float] = {}
    tree = make_tree(suite, Path(folder), packages, seconds)
    disk = Path(folder) / "disk.raw"
    with timed("disk", seconds):
        make_disk(tree, disk)
    with timed("bootloader", seconds):
        make_bootable(tree, Path(folder), disk)
    with timed("convert", seconds):
        call("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, image)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
