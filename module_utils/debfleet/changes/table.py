# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of change: for each, how its value is checked when it is asked for, and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import boot, commands, files, overlay, packages, pip, preseed, small, system, users
from .request import Tree


@dataclass(frozen=True)
class Kind:
    """How one kind of change is checked (ValueError says what is wrong) and made, and whether the same value makes the
    same tree each time.
    """

    check: Callable[[Any], None]
    make: Callable[[Tree, Any], None]
    repeatable: bool = True


KINDS = {
    "packages": Kind(packages.check, packages.install),
    "standard_packages": Kind(packages.check_standard, packages.install_standard),
    "files": Kind(files.check_files, files.write_files),
    "folders": Kind(files.check_folders, files.make_folders),
    "links": Kind(files.check_links, files.make_links),
    "remove": Kind(files.check_patterns, files.remove),
    "empty": Kind(files.check_patterns, files.empty),
    "overlay": Kind(overlay.check_overlay, overlay.lay_over),
    "pip": Kind(pip.check_pip, pip.install, repeatable=False),
    "debconf": Kind(preseed.check_debconf, preseed.preseed),
    "users": Kind(users.check_users, users.set_users),
    "commands": Kind(commands.check_commands, commands.run_commands, repeatable=False),
    "services": Kind(commands.check_services, commands.set_services),
    "locale": Kind(system.check_locale, system.set_locale),
    "timezone": Kind(system.check_timezone, system.set_timezone),
    "hostname": Kind(system.check_hostname, system.set_hostname),
    "path_filter": Kind(small.check_filter, small.set_filter),
    "shrink": Kind(small.check_shrink, small.set_shrink),
    "initramfs": Kind(boot.check_initramfs, boot.make_initramfs, repeatable=False),
    "bootloader": Kind(boot.check_bootloader, boot.configure_bootloader),
}
