# SPDX-License-Identifier: GPL-3.0-or-later
"""Architectures: Debian's name for each, what others call it, and what it takes to build and to boot it."""

from .row import RELEASES, Architecture, Efi, Firmware, Grub, MachineType
from .table import TABLE, architecture, host, names

__all__ = [
    "RELEASES",
    "TABLE",
    "Architecture",
    "Efi",
    "Firmware",
    "Grub",
    "MachineType",
    "architecture",
    "host",
    "names",
]
