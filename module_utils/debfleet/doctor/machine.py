# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights, namespaces, loop devices, filesystems, memory and room on the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from .. import userns
from ..errors import DebfleetError, MissingError
from ..ledger import cache_folder, state_folder
from ..namespace import UNSHARE
from ..run import run
from ..sizes import shown
from ..workspace import MEMORY, memory_free
from .finding import MISSING, OK, WARN, Finding

RIGHTS, ROOM = "Rights", "Room"
GIB = 1 << 30
TREE = 2 * GIB  # memory for the tree of an image of common size
LEAST, ENOUGH = 2 * GIB, 10 * GIB  # of disk: for one small image, for some of common size
KERNEL = {  # filesystems: what for, and whether nothing works without it
    "ext4": ("reads images with ext2, ext3 and ext4", MISSING),
    "xfs": ("reads images with xfs", WARN),
    "btrfs": ("reads images with btrfs", WARN),
    "overlay": ("takes what is written in a shell in an image", WARN),
}


def rights() -> Iterator[Finding]:
    """What this user may do."""
    if os.geteuid() == 0:
        yield Finding(RIGHTS, "root", OK, "owns the files of a tree, mounts images")
        yield _namespaces([*UNSHARE, "--mount-proc"], userns.CONTAINER)
        yield _loop()
    else:
        why = (
            f"{userns.account()} is not root: builds and reads images in namespaces, but not with xfs, btrfs or "
            "extlinux (docs/unprivileged.md)"
        )
        yield Finding(RIGHTS, "root", WARN, "owns the files of a tree, mounts images", why, "sudo, before the command")
        enough = [_subordinate(name) for name in ("subuid", "subgid")]
        yield from enough
        entering = userns.entering() if all(one.state == OK for one in enough) else []
        words = [*entering, *UNSHARE] if entering else [*UNSHARE, "--user", "--map-root-user"]
        yield _namespaces([*words, "--mount-proc"], userns.remedy())
    for name, (purpose, state) in KERNEL.items():
        yield _filesystem(name, purpose, state)


def _namespaces(unshare: list[str], fix: str) -> Finding:
    purpose = "nothing that a build mounts or starts outlives it"
    try:
        run([*unshare, "--", "mount", "-t", "tmpfs", "tmpfs", "/tmp"])
    except DebfleetError as error:
        return Finding(RIGHTS, "namespaces", MISSING, purpose, error.why or error.what, fix)
    return Finding(RIGHTS, "namespaces", OK, purpose)


def _subordinate(name: str) -> Finding:
    file, purpose = f"/etc/{name}", "ids for the users of an image, without root"
    try:
        userns.subordinate(name)
    except MissingError as error:
        return Finding(RIGHTS, name, WARN, purpose, error.why, userns.assign(name))
    return Finding(RIGHTS, name, OK, purpose, f"{file} has enough")


def _loop() -> Finding:
    purpose = "reads the filesystems of images"
    try:
        device = run(["losetup", "--find"]).stdout.strip()
    except DebfleetError as error:
        fix = "modprobe loop; in a container: docker run --device /dev/loop-control …, or --privileged"
        return Finding(RIGHTS, "loop devices", MISSING, purpose, error.why or error.what, fix)
    return Finding(RIGHTS, "loop devices", OK, purpose, f"{device} is free")


def _filesystem(name: str, purpose: str, state: str) -> Finding:
    known = Path("/proc/filesystems").read_text(encoding="utf-8").split()
    if name in known:
        return Finding(RIGHTS, name, OK, purpose)
    try:
        loadable = run(["modprobe", "--dry-run", "--quiet", name], check=False).returncode == 0
    except DebfleetError:
        loadable = False
    if loadable and os.geteuid() == 0:  # the kernel loads it when it is asked for
        return Finding(RIGHTS, name, OK, purpose, "a module that loads when needed")
    return Finding(RIGHTS, name, state, purpose, "the running kernel doesn't have it", f"modprobe {name}")


def room() -> Iterator[Finding]:
    """Memory, and room on the disk where debfleet writes."""
    yield _memory()
    temporary = Path(os.environ.get("TMPDIR") or "/var/tmp")
    for path, purpose in (
        (Path("build").absolute(), "images"),
        (temporary, "raw copies of images that are read"),
        (cache_folder(), "what can be made again"),
        (state_folder(), "what builds hold, so that it is released"),
    ):
        yield disk(path, purpose)


def _memory() -> Finding:
    purpose = "trees are built in memory"
    free = memory_free()
    if free >= TREE:
        return Finding(ROOM, str(MEMORY), OK, purpose, f"{shown(free)} free")
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        fix = f"mount -t tmpfs -o mode=1777 tmpfs {MEMORY}"
        return Finding(ROOM, str(MEMORY), WARN, purpose, "it can't be written: builds go to the disk, slower", fix)
    why = f"{shown(free)} free, {shown(TREE)} are wanted: larger builds go to the disk, slower"
    if shutil.disk_usage(MEMORY).free < TREE:
        return Finding(
            ROOM, str(MEMORY), WARN, purpose, why, f"mount -o remount,size=4G {MEMORY}; docker run --shm-size=4g"
        )
    return Finding(
        ROOM, str(MEMORY), WARN, purpose, why, "ps -eo rss,pid,comm --sort=-rss | head  # what has the memory"
    )


def disk(path: Path, purpose: str) -> Finding:
    """Whether a folder can be made or written, and has room."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if not os.access(there, os.W_OK):
        fix = f"sudo install -d -o {os.geteuid()} {path}"
        return Finding(ROOM, str(path), MISSING, purpose, f"{there} can't be written", fix)
    free = shutil.disk_usage(there).free
    if free >= ENOUGH:
        return Finding(ROOM, str(path), OK, purpose, f"{shown(free)} free")
    state = WARN if free >= LEAST else MISSING
    fix = f"du -xh --max-depth=2 {there} | sort -h | tail  # what takes the room"
    return Finding(ROOM, str(path), state, purpose, f"{shown(free)} free, {shown(ENOUGH)} are wanted", fix)
