# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tree needs to boot: its initramfs, and its bootloader's configuration."""

from __future__ import annotations

from typing import Any

from .. import bootloader
from ..disk.layout import Layout
from ..initramfs import kept
from .request import Tree, expect_keys


def check_initramfs(value: Any) -> None:
    """`true`."""
    if value is not True:
        raise ValueError(f"must be true, not {value!r}")


def make_initramfs(tree: Tree, value: bool) -> None:
    """Generate the initramfs of every kernel in the tree, once; or take that of an earlier build."""
    kept.bring(tree.build, tree.root)


def check_bootloader(value: Any) -> None:
    """{layout, system, console}: the disk's layout, the manifest's system section, the kernel's console arguments."""
    expect_keys(value, {"layout", "system", "console"}, set())


def configure_bootloader(tree: Tree, value: dict[str, Any]) -> None:
    """Write the bootloader's configuration, so that it boots this kernel from this disk."""
    bootloader.configure(tree.root, Layout.from_dict(value["layout"]), value["system"], value["console"])
