# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of grub's configuration: pure functions of the layout, the kernel and the kernel's arguments."""

from __future__ import annotations

import re

from ..disk.shape import Layout

TIMEOUT = 1  # seconds that the menu waits
TITLE = "Debian GNU/Linux"
SERIAL = r"\bconsole=ttyS(\d+)(?:,(\d+))?"


def prefix(layout: Layout) -> str:
    """The folder of grub as its own filesystem has it."""
    return f"{boot_folder(layout)}/grub"


def boot_folder(layout: Layout) -> str:
    """The folder of the kernels as their filesystem has it: empty with a separate /boot."""
    return "" if layout.at("/boot") else "/boot"


def embedded(layout: Layout) -> str:
    """What core.img does first: it finds the filesystem by UUID, whatever the disk is called there."""
    return f"search.fs_uuid {layout.boot.uuid} root\nset prefix=($root){prefix(layout)}\n"


def serial(console: str) -> tuple[int, int] | None:
    """Unit and speed of the serial port that the kernel's arguments name, if they do."""
    found = re.search(SERIAL, console)
    return (int(found[1]), int(found[2] or 9600)) if found else None


def _terminals(console: str) -> str:
    return "console serial" if serial(console) else "console"


def defaults(console: str) -> str:
    """What update-grub reads in the image, so that it writes what `menu` does."""
    lines = [
        f"GRUB_TIMEOUT={TIMEOUT}",
        'GRUB_CMDLINE_LINUX_DEFAULT=""',
        f'GRUB_CMDLINE_LINUX="{console}"',
        f'GRUB_TERMINAL="{_terminals(console)}"',
        "GRUB_DISABLE_OS_PROBER=true",
    ]
    if port := serial(console):
        lines.append(f'GRUB_SERIAL_COMMAND="serial --unit={port[0]} --speed={port[1]}"')
    return "".join(f"{line}\n" for line in lines)


def menu(layout: Layout, kernel: str, initrd: str, console: str) -> str:
    """The text of grub.cfg: one entry, by UUID.

    :param kernel: its file's name, as vmlinuz-6.12.41-cloud-amd64; `initrd` alike.
    :param console: arguments for the kernel, as ``console=tty0 console=ttyS0,115200``.
    """
    folder = boot_folder(layout)
    port = serial(console)
    lines = [
        "set default=0",
        f"set timeout={TIMEOUT}",
        *([f"serial --unit={port[0]} --speed={port[1]}"] if port else []),
        f"terminal_input {_terminals(console)}",
        f"terminal_output {_terminals(console)}",
        f"menuentry '{TITLE}' {{",
        f"    search --no-floppy --fs-uuid --set=root {layout.boot.uuid}",
        f"    linux {folder}/{kernel} root=UUID={layout.root.uuid} ro {console}".rstrip(),
        f"    initrd {folder}/{initrd}",
        "}",
    ]
    return "".join(f"{line}\n" for line in lines)
