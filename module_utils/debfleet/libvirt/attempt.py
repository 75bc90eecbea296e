# SPDX-License-Identifier: GPL-3.0-or-later
"""One boot of an image by one firmware: the overlay, the machine, the way in, the judgement."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DebfleetError
from ..ledger import Ledger
from ..run import find, run
from . import checks, seed
from .acceleration import Acceleration
from .domain import started, unique_name
from .domain_xml import domain_xml
from .image import ImageFolder
from .machine import SSH, Disk, Forward, Kernel, Machine, Network
from .ssh import make_key
from .watch import QUIET, Access, BootError, Watch

CARD = "sd"  # a memory card's size is a power of two
ROOM = 1 << 30  # bytes by which the overlay is larger than an image that grows
MEMORY = 1 << 30  # bytes of the machine's memory, when nothing else is said


@dataclass(frozen=True)
class Options:
    """How to boot. None: as the image says, or as is usual here.

    :param firmware: by which firmware to boot; several in turn.
    :param memory: bytes. `timeout`: seconds that each boot has; `quiet`: seconds without news after the login prompt.
    :param accelerator: auto, kvm or tcg.
    :param network: False boots without a network card.
    :param kernel: boots this kernel directly, whatever bootloader the image has.
    """

    firmware: list[str] | None = None
    uri: str | None = None
    memory: int = MEMORY
    timeout: float = 600
    quiet: float = QUIET
    accelerator: str = "auto"
    network: bool = True
    kernel: Kernel | None = None


@dataclass(frozen=True)
class Boot:
    """One boot that got through: what it showed, and when it reached which stage (seconds)."""

    firmware: str
    accelerator: Acceleration
    access: str
    token: str
    seconds: float
    reached: dict[str, float]
    checks: list[checks.Check] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As proof.json has it."""
        return {
            "firmware": self.firmware,
            "accelerator": self.accelerator.name,
            "reason": self.accelerator.reason,
            "access": self.access,
            "token": self.token,
            "seconds": round(self.seconds, 1),
            "reached": self.reached,
            "checks": [check.to_dict() for check in self.checks],
        }


class Attempt:
    """One boot by one firmware, in a folder of its own."""

    def __init__(
        self,
        image: ImageFolder,
        options: Options,
        acceleration: Acceleration,
        work: Path,
        firmware: str,
        kernel: Kernel | None,
    ) -> None:
        self.image, self.options, self.acceleration, self.kernel = image, options, acceleration, kernel
        self.work, self.firmware = work, firmware
        self.serial, self.debug = work / "serial.log", work / "firmware.log"
        self.type = image.machine
        self.token = secrets.token_hex(32)
        self.script = checks.script(self.type.serial)

    def said(self) -> str:
        """What the firmware and the serial port have said."""
        there = (path for path in (self.debug, self.serial) if path.exists())
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in there)

    def run(self, connection: Any, ledger: Ledger | None) -> Boot:
        """Boot, log in, judge."""
        disks = [self._overlay()]
        access, credentials = self._access(disks)
        machine = Machine(
            name=unique_name(self.image.name),
            architecture=self.image.architecture,
            type=self.type,
            firmware=self.firmware,
            accelerator=self.acceleration.name,
            memory=min(self.options.memory, self.type.memory[1] << 20) if self.type.memory else self.options.memory,
            cpus=2 if self.acceleration.name == "kvm" else 1,
            disks=disks,
            serial=self.serial,
            debug=self.debug,
            variables=self._variables(),
            kernel=self.kernel,
            credentials=credentials,
            networks=[Network(forwards=(Forward(0, SSH),))] if self.options.network and self.type.network else [],
            volatile=True,
            owner=(os.geteuid(), os.getegid()) if os.geteuid() == 0 else None,
        )
        with started(connection, machine.name, domain_xml(machine), ledger) as domain:
            limits = (self.options.timeout, self.options.quiet)
            watch = Watch(domain, self.serial, self.debug, access, self.firmware, self.script, *limits)
            told = watch.report()
        if not told:
            raise BootError(self.firmware, watch.torn(), watch.seconds())
        results = checks.judge(told, self.image.expected(), self.token)
        token = told.get("token", "").partition(" ")[0]
        return Boot(self.firmware, self.acceleration, access.kind, token, watch.seconds(), watch.reached, results)

    def _overlay(self) -> Disk:
        """A file that takes every write, so that the image gets none."""
        find("qemu-img", "qemu-utils")
        overlay = self.work / "overlay.qcow2"
        size: list[str] = []
        if self.image.grows():
            said = run(["qemu-img", "info", "--output=json", "-f", self.image.format(), self.image.file()]).stdout
            room = int(json.loads(said)["virtual-size"]) + ROOM
            size = [str(1 << (room - 1).bit_length() if self.type.disk == CARD else room)]
        backing: list[str | Path] = ["-F", self.image.format(), "-b", self.image.file()]
        run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, overlay, *size])
        return Disk(overlay, "qcow2")

    def _variables(self) -> Path | None:
        firmware = self.type.firmware.get(self.firmware)
        if firmware is None or not firmware.variables:
            return None
        return Path(shutil.copy(firmware.variables, self.work / "variables.fd"))

    def _access(self, disks: list[Disk]) -> tuple[Access, dict[str, str]]:
        """How to log in, with what the guest must be given for that: a seed disk or credentials."""
        kind = self.image.access()
        if kind != "cloud-init" and not (self.firmware in self.type.smbios or self.type.fw_cfg):
            why = f"it has not both cloud-init and openssh-server, and a {self.type.name} can't hand it credentials"
            raise DebfleetError("there is no way into the image", why=why, hint="prove it with the plugin cloud_init")
        if kind == "console":
            password = secrets.token_hex(8)
            crypted = run(["openssl", "passwd", "-6", "-stdin"], stdin=password + "\n").stdout.strip()
            return Access(kind, password=password), seed.console_credentials(crypted, self.token, self.script)
        key, public = make_key(self.work)
        if kind == "ssh":
            return Access(kind, "root", key), seed.ssh_credentials(public, self.token)
        path = self.work / "seed.iso"
        seed.cloud_init_seed(path, f"debfleet-{secrets.token_hex(4)}", public, self.token)
        disks.append(Disk(path, "raw", readonly=True))
        return Access(kind, seed.USER, key), {}
