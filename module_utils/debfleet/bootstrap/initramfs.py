# SPDX-License-Identifier: GPL-3.0-or-later
"""The initramfs of an image: generated once, when all that goes into it is there."""

from __future__ import annotations

from pathlib import Path

from .. import journal
from ..namespace import run_in_root


def kernels(root: str | Path) -> list[str]:
    """The versions of the kernels in a tree, as the names of their files in /boot have them."""
    return sorted(path.name.removeprefix("vmlinuz-") for path in (Path(root) / "boot").glob("vmlinuz-*"))


def generate(root: str | Path) -> list[str]:
    """Generate the initramfs of every kernel in a tree, and mend the links to the newest.

    :returns: the kernels' versions; none where the tree has no kernel, or nothing that generates one.
    :raises CommandError: with the tool's own words.
    """
    root = Path(root)
    versions = kernels(root)
    tool = next((name for name in ("update-initramfs", "dracut") if (root / "usr/sbin" / name).exists()
                 or (root / "usr/bin" / name).exists()), "")  # fmt: skip
    if not versions or not tool:
        return []
    for number, version in enumerate(versions):
        journal.tell(f"generating the initramfs of {version}", number, len(versions))
        # -u too where one is there already, made by a package that would not wait
        made = (root / "boot" / f"initrd.img-{version}").exists()
        words = ["-u" if made else "-c", "-k", version]
        if tool == "dracut":
            words = ["--force", f"/boot/initrd.img-{version}", version]
        run_in_root(root, [tool, *words])
        if (root / "usr/bin/linux-update-symlinks").exists():
            run_in_root(root, ["linux-update-symlinks", "install", version, f"/boot/vmlinuz-{version}"])
    journal.tell("generated the initramfs", len(versions), len(versions))
    return versions
