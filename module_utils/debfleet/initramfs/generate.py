# SPDX-License-Identifier: GPL-3.0-or-later
"""Generating the initramfs of every kernel in a tree, by the tool that the image has."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .. import journal, kernels
from ..namespace import run_in_root
from .faster import choose

HOOK_FUNCTIONS = "/usr/share/initramfs-tools/hook-functions"
FSCK_HOOK = "/usr/share/initramfs-tools/hooks/fsck"
# zstd's bytes are the same with any number of threads, and mkinitramfs asks for more than one only at times.
ENVIRONMENT = {"ZSTD_NBTHREADS": "0"}


def generate(root: str | Path, *, faster: bool = True) -> list[str]:
    """Generate the initramfs of every kernel in a tree, and mend the links to the newest.

    :param faster: lend initramfs-tools faster functions while it runs; nothing of them stays in the tree.
    :returns: the kernels' versions; none where the tree has no kernel, or nothing that generates one.
    :raises CommandError: with the tool's own words.
    """
    root = Path(root)
    found = kernels.within(root)
    tool = next((name for name in ("update-initramfs", "dracut") if (root / "usr/sbin" / name).exists()
                 or (root / "usr/bin" / name).exists()), "")  # fmt: skip
    if not found or not tool:
        return []
    with _lent(root, faster and tool == "update-initramfs") as functions, _told_types(root) as hook:
        binds = {**functions, **hook}
        for number, kernel in enumerate(found):
            version, made = kernels.version(kernel), (root / "boot" / kernels.initrd(kernel)).exists()
            journal.tell(f"generating the initramfs of {version}", number, len(found))
            # -u too where one is there already, made by a package that would not wait
            words = ["-u" if made else "-c", "-k", version]
            if tool == "dracut":
                words = ["--force", f"/boot/{kernels.initrd(kernel)}", version]
            run_in_root(root, [tool, *words], binds=binds, env=ENVIRONMENT)
    link(root)
    journal.tell("generated the initramfs", len(found), len(found))
    return [kernels.version(kernel) for kernel in found]


def link(root: Path) -> None:
    """Mend the links to the newest kernel and its initramfs, for each that a tree has."""
    if (root / "usr/bin/linux-update-symlinks").exists():
        for kernel in kernels.within(root):
            run_in_root(root, ["linux-update-symlinks", "install", kernels.version(kernel), f"/boot/{kernel}"])


def checked_types(root: Path) -> list[str]:
    """The types of the filesystems that are checked before root is mounted, / and /usr, by the tree's fstab."""
    fstab = root / "etc/fstab"
    lines = fstab.read_text(encoding="utf-8").splitlines() if fstab.is_file() else []
    fields = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return sorted({words[2] for words in fields if len(words) > 2 and words[1] in ("/", "/usr")} - {"auto"})


@contextlib.contextmanager
def _told_types(root: Path) -> Iterator[dict[str, str]]:
    """What is bound into the tree so that the hook for fsck knows the types of the filesystems that it is for: it would
    ask the device that holds root, which isn't there yet.
    """
    path, types = root / FSCK_HOOK.lstrip("/"), checked_types(root)
    if not types or path.is_symlink() or not path.is_file():
        yield {}
        return
    first, _, rest = path.read_text(encoding="utf-8", errors="surrogateescape").partition("\n")
    with tempfile.TemporaryDirectory(prefix="debfleet-initramfs-") as folder:
        hook = Path(folder) / "fsck"
        hook.write_text(f"{first}\nFSTYPE={','.join(types)}\n{rest}", encoding="utf-8", errors="surrogateescape")
        hook.chmod(0o755)
        yield {str(hook): FSCK_HOOK}


@contextlib.contextmanager
def _lent(root: Path, wanted: bool) -> Iterator[dict[str, str]]:
    """What is bound into the tree while its initramfs is generated: a file of faster functions, if there is one."""
    path = root / HOOK_FUNCTIONS.lstrip("/")
    if not wanted or path.is_symlink() or not path.is_file():
        yield {}
        return
    choice = choose(path.read_text(encoding="utf-8", errors="surrogateescape"))
    journal.log(f"# {choice.told()}")
    if not choice.faster:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="debfleet-initramfs-") as folder:
        functions = Path(folder) / "hook-functions"
        functions.write_text(choice.text, encoding="utf-8", errors="surrogateescape")
        functions.chmod(0o644)
        yield {str(functions): HOOK_FUNCTIONS}
