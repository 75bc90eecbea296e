# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be there before a domain is defined or started: emulator, firmware, files, free ports."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from pathlib import Path

from ..architectures import Architecture, MachineType
from ..errors import DebfleetError, MissingError
from ..run import find, run
from .machine import Forward, Machine

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def package(row: Architecture) -> str:
    """The Debian package with the emulator: it was split in some release, so that which one is up to apt."""
    try:
        shown = run(["apt-cache", "show", "--no-all-versions", "--", *row.packages], check=False).stdout
    except MissingError:
        return row.packages[-1]
    known = re.findall(r"(?m)^Package: (\S+)$", shown)
    return next((name for name in row.packages if name in known), row.packages[-1])


def installed(row: Architecture, kind: MachineType, firmware: Iterable[str]) -> None:
    """See that emulator and firmware are there. Raises MissingError, with the package, where one is not."""
    try:
        find(row.emulator)
    except MissingError as error:
        hint = f"apt-get install --no-install-recommends {package(row)}"
        raise MissingError(f"{row.emulator} is not installed: it runs machines of {row.name}", hint=hint) from error
    for name in firmware:
        files = kind.firmware.get(name)
        for path in (files.code, files.variables) if files else ():
            if path and not Path(path).exists():
                hint = f"apt-get install --no-install-recommends {files.package if files else ''}"
                raise MissingError(f"the firmware {name} for {row.name} is not installed", where=path, hint=hint)


def check(machine: Machine, *, starts: bool) -> None:
    """See that a machine can be defined, and started where it shall be.

    Raises MissingError for what is to be installed, DebfleetError for files that aren't there and ports in use.
    """
    if not machine.emulator.startswith("/") or not Path(machine.emulator).exists():
        installed(machine.architecture, machine.type, [])
    installed(machine.architecture, machine.type, [machine.firmware])
    kernel = machine.kernel
    files = {"disk": [disk.path for disk in machine.disks]}
    if kernel:
        files["kernel"] = [path for path in (kernel.image, kernel.initrd, kernel.device_tree) if path]
    for what, paths in files.items():
        for path in paths:
            if not path.is_file():
                raise DebfleetError(
                    f"the domain's {what} is not there", where=str(path), hint="name a file that there is"
                )
    if starts:
        for network in machine.networks:
            for forward in network.forwards:
                free(forward)


def free(forward: Forward) -> None:
    """See that nobody has the host's port. Raises DebfleetError."""
    with socket.socket(socket.AF_INET, KINDS[forward.protocol]) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((forward.address, forward.host))
        except OSError as error:
            hint = "forward another port, or leave the host's out: a free one is chosen"
            why = str(error.strerror)
            raise DebfleetError(f"the port {forward.host} is in use", where=str(forward), why=why, hint=hint) from error


def choose(forward: Forward) -> int:
    """A port of the host that is free now."""
    with socket.socket(socket.AF_INET, KINDS[forward.protocol]) as listener:
        listener.bind((forward.address, 0))
        return int(listener.getsockname()[1])
