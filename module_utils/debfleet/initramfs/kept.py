# SPDX-License-Identifier: GPL-3.0-or-later
"""The initramfs of an earlier build, taken where everything that one is made of is the same.

That is: the kept tree that the build began with, all that was changed in it since but for what no hook looks at, and
what hooks ask of this machine. Where a hook is none of those that were read for this, it is generated in each build.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from .. import journal, kernels
from ..bases.fingerprint import of_parts
from ..bases.lineage import ago, tell
from ..bases.stamp import Stamp
from ..bases.store import Base, DamagedError, Store, differences
from ..errors import DebfleetError
from .generate import generate, link

NAME = "initramfs"
PACKAGES = "packages"
MOST = 3  # differences that are told
FOLDERS = ("etc/initramfs-tools", "usr/share/initramfs-tools")
# Hooks of which it is known that they look at nothing of OTHERS, and at nothing of this machine but what `machine` has.
HOOKS = (
    *("btrfs", "dmsetup", "fsck", "fuse", "keymap", "klibc-utils", "kmod", "ntfs_3g", "resume", "thermal", "udev"),
    *("zz-busybox", "zz-busybox-initramfs"),
)
# What those don't look at, and differs from build to build.
OTHERS = (
    *(
        "etc/cloud",
        "etc/hostname",
        "etc/hosts",
        "etc/image-build",
        "etc/issue",
        "etc/issue.net",
        "etc/machine-id",
        "etc/motd",
    ),
    *("etc/shadow", "etc/shadow-", "etc/ssh", "etc/sudoers.d", "home", "root", "run", "srv", "tmp"),
    *("var/cache", "var/lib/cloud", "var/log", "var/tmp"),
)
FSTAB = "etc/fstab"
STATE = "var/lib/initramfs-tools"
BY_THIS_MACHINE = re.compile(r"^\s*MODULES=[\"']?dep", re.MULTILINE)


def bring(build: Path | None, root: Path) -> None:
    """Have the initramfs of every kernel in a tree: that of an earlier build, or generated, and kept for later ones."""
    parts = parts_of(build, root) if build else None
    if build is None or parts is None:
        generate(root)
        return
    store, key = Store.default(), of_parts(parts)
    base, why = _find(store, key)
    if base is None:
        with store.making(key):
            base, why = _find(store, key, why)  # somebody may have made it while we waited
            if base is None:
                _make(store, parts, build, root, why)
                return
    with tempfile.TemporaryDirectory(dir=build, prefix="initramfs-") as folder:
        store.unpack(base, Path(folder))
        _copy(Path(folder), root, _made(root, Path(folder)))
    link(root)
    tell(build, NAME, True, f"made {ago(base.made)} in {base.seconds:.0f} s")


def parts_of(build: Path, root: Path) -> dict[str, str] | None:
    """All that the initramfs depends on, by name; None where that can't be told."""
    stamp = Stamp.of(build)
    if stamp is None or (root / "usr/bin/dracut").exists() or not _hooks(root) <= set(HOOKS):
        return None
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in _files(root)]
    if any(BY_THIS_MACHINE.search(text) for text in texts):
        return None
    here = {PACKAGES: stamp.key, "this machine": of_parts(machine()), FSTAB: of_parts(_fstab(root))}
    return {**here, **stamp.differences(root, _counts)}


def _counts(path: str) -> bool:
    return path != FSTAB and not any(path == other or path.startswith(f"{other}/") for other in OTHERS)


def _fstab(root: Path) -> str:
    """The tree's fstab without what differs from image to image; no hook asks for it."""
    return re.sub(r"UUID=[^\s#]+", "UUID", _text(root / FSTAB))


def machine() -> list[str]:
    """What hooks ask of the machine that they run on."""
    firmware = Path("/sys/module/firmware_class/parameters/path")
    models = {line for line in _text(Path("/proc/cpuinfo")).splitlines() if line.startswith("model")}
    return [os.uname().machine, os.uname().release, _text(firmware), *sorted(models)]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _hooks(root: Path) -> set[str]:
    return {path.name for folder in FOLDERS for path in (root / folder / "hooks").glob("*")}


def _files(root: Path) -> list[Path]:
    """Every file of initramfs-tools in a tree."""
    found = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*"))]
    return [path for path in found if path.is_file() and not path.is_symlink()]


def _find(store: Store, key: str, why: str = "") -> tuple[Base | None, str]:
    try:
        return store.find(key), why
    except DamagedError as error:
        journal.log(str(error))
        return None, "the kept one was damaged"


def _make(store: Store, parts: Mapping[str, str], build: Path, root: Path, why: str) -> None:
    why = why or _why(store, parts)
    start = time.monotonic()
    generate(root)
    seconds = time.monotonic() - start
    tell(build, NAME, False, why)
    try:
        with tempfile.TemporaryDirectory(dir=build, prefix="initramfs-") as folder:
            _copy(root, Path(folder), _made(root, root))
            store.keep(of_parts(parts), NAME, parts, Path(folder), packages=0, seconds=seconds)
    except (DebfleetError, OSError) as error:
        journal.log(f"the initramfs could not be kept for later builds: {error}")


def _why(store: Store, parts: Mapping[str, str]) -> str:
    near = store.nearest(NAME, parts)
    if near is None:
        return "not kept before"
    changed = differences(near.parts, parts)
    if PACKAGES in changed:
        return f"differs from before: {PACKAGES}"
    more = f" and {len(changed) - MOST} more" if len(changed) > MOST else ""
    return f"differs from before: {', '.join(changed[:MOST])}{more}"


def _made(root: Path, source: Path) -> list[str]:
    """What is generated for the kernels of a tree and is in a folder, relative to it."""
    found = kernels.within(root)
    names = [f"boot/{kernels.initrd(kernel)}" for kernel in found]
    names += [f"{STATE}/{kernels.version(kernel)}" for kernel in found]
    return [name for name in names if (source / name).is_file()]


def _copy(source: Path, target: Path, names: Iterable[str]) -> None:
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, target / name)
