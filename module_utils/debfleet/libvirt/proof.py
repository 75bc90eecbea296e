# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that an image boots: it is booted on an overlay, and tells a token from inside.

The image is never written. Whatever is acquired (daemons, folder, domain) is released when we return or die.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import journal
from ..errors import DebfleetError, FindingsError
from ..ledger import Ledger
from ..run import find, run
from . import checks, image_kernel, seed
from .acceleration import Acceleration, choose
from .daemon import connected, default_uri
from .domain import started, unique_name
from .domain_xml import Disk, Kernel, Machine, domain_xml
from .image import ImageFolder
from .ssh import make_key
from .watch import QUIET, Access, BootError, Watch

PROOF = "proof.json"
SERIAL = "serial.log"
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
    serial: str = ""

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


def planned(folder: str | Path, options: Options) -> dict[str, Any]:
    """What would be booted, and how; nothing is started."""
    image = ImageFolder.read(folder)
    return {
        "file": image.file().name,
        "firmware": _firmware(image, options),
        "access": image.access(),
        "uri": options.uri or default_uri(),
    }


def _firmware(image: ImageFolder, options: Options) -> list[str]:
    wanted = options.firmware or image.firmware()
    known = image.architecture.firmware
    for name in wanted:
        if name not in known:
            raise DebfleetError(f"{image.architecture.name} has no firmware {name}", hint=f"allowed: {', '.join(known)}")
    return wanted


def prove(folder: str | Path, options: Options, ledger: Ledger | None = None) -> dict[str, Any]:
    """Boot the image in this folder by each firmware, and write proof.json and serial.log there.

    Raises BootError where a boot stops, FindingsError where one got through and a check fails; the serial log is written
    in both cases, a proof only when all is well (an older one is taken away).
    """
    image = ImageFolder.read(folder)
    firmware = _firmware(image, options)
    (image.path / PROOF).unlink(missing_ok=True)
    journal.tell("reading the image")
    digest = image.digest()
    boots: list[Boot] = []
    logs: list[str] = []
    with _folder(ledger) as work, connected(options.uri) as connection:
        kernel = options.kernel or _direct(image)
        probe = kernel.image if kernel else None
        if probe is None and options.accelerator != "tcg":
            taken = image_kernel.extract(image.file(), image.format(), image.partitions(), _made(work / "kernel"))
            probe = taken[0] if taken else None
        acceleration = choose(options.accelerator, image.architecture, probe)
        shutil.rmtree(work / "kernel", ignore_errors=True)
        journal.tell(f"boots on {acceleration.name}: {acceleration.reason}")
        for name in firmware:
            boot = _Attempt(image, options, acceleration, _made(work / name), name, kernel)
            try:
                boots.append(boot.run(connection, ledger))
            finally:
                logs.append(f"=== boot by {name}\n{boot.said()}")
                _write(image.path / SERIAL, "\n".join(logs))
    proof = {
        "schema_version": 1,
        "sha256": digest,
        "file": image.file().name,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **{key: boots[-1].to_dict()[key] for key in ("firmware", "accelerator", "token", "checks")},
        "boots": [boot.to_dict() for boot in boots],
    }
    _judge(boots)
    _write(image.path / PROOF, json.dumps(proof, indent=2) + "\n")
    return proof


def _judge(boots: list[Boot]) -> None:
    wrong = [f"{boot.firmware}: {check.name}: {check.seen}" for boot in boots for check in boot.checks if not check.ok]
    if wrong:
        raise FindingsError(
            "the image boots, and is not what its manifest says",
            why="\n".join(wrong),
            hint="what was seen stands behind each name; serial.log has the rest",
        )


def _direct(image: ImageFolder) -> Kernel | None:
    """The kernel beside an image that has no bootloader; None for one that has."""
    if image.bootloader() != "none":
        return None
    kernel, initrd = image.path / "vmlinuz", image.path / "initrd.img"
    if not kernel.exists():
        raise DebfleetError("the image has no bootloader, and no kernel lies beside it", where=str(kernel))
    return Kernel(kernel, initrd if initrd.exists() else None, cmdline(image))


def cmdline(image: ImageFolder) -> str:
    """The command line of the image's kernel when it is booted directly."""
    root = next((part for part in image.partitions() if part.get("mount") == "/"), None)
    named = f"UUID={root['uuid']}" if root and root.get("uuid") else "/dev/vda"
    return f"root={named} ro console=tty0 console={image.architecture.serial}"


@contextmanager
def _folder(ledger: Ledger | None) -> Iterator[Path]:
    """A folder of our own, in the ledger before it is made."""
    path = Path(tempfile.gettempdir()) / f"debfleet-boot-{os.getpid()}-{secrets.token_hex(4)}"
    entry = ledger.add("folder", path=str(path)) if ledger else None
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if ledger and entry:
            ledger.drop(entry)


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


class _Attempt:
    """One boot by one firmware, in a folder of its own."""

    def __init__(
        self, image: ImageFolder, options: Options, acceleration: Acceleration, work: Path, firmware: str, kernel: Kernel | None
    ) -> None:
        self.image, self.options, self.acceleration, self.kernel = image, options, acceleration, kernel
        self.work, self.firmware = work, firmware
        self.serial, self.debug = work / "serial.log", work / "firmware.log"
        self.token = secrets.token_hex(32)
        self.script = checks.script(image.architecture.serial)

    def said(self) -> str:
        """What the firmware and the serial port have said."""
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in (self.debug, self.serial) if path.exists())

    def run(self, connection: Any, ledger: Ledger | None) -> Boot:
        """Boot, log in, judge."""
        disks = [self._overlay()]
        access, credentials = self._access(disks)
        machine = Machine(
            name=unique_name(self.image.name),
            architecture=self.image.architecture,
            firmware=self.firmware,
            accelerator=self.acceleration.name,
            memory=self.options.memory,
            cpus=1 if self.acceleration.name == "tcg" else 2,
            disks=disks,
            serial=self.serial,
            debug=self.debug,
            variables=self._variables(),
            kernel=self.kernel,
            credentials=credentials,
            network=self.options.network,
            owner=(os.geteuid(), os.getegid()) if os.geteuid() == 0 else None,
        )
        with started(connection, machine.name, domain_xml(machine), ledger) as domain:
            watch = Watch(domain, self.serial, self.debug, access, self.firmware, self.script, self.options.timeout,
                          self.options.quiet)  # fmt: skip
            told = watch.report()
        if not told:
            raise BootError(self.firmware, watch.torn(), watch.seconds())
        results = checks.judge(told, self.image.expected(), self.token)
        return Boot(self.firmware, self.acceleration, access.kind, told.get("token", "").split(" ")[0], watch.seconds(),
                    watch.reached, results)  # fmt: skip

    def _overlay(self) -> Disk:
        """A file that takes every write, so that the image gets none."""
        find("qemu-img", "qemu-utils")
        overlay, size = self.work / "overlay.qcow2", []
        if self.image.grows():
            said = run(["qemu-img", "info", "--output=json", "-f", self.image.format(), self.image.file()]).stdout
            size = [str(int(json.loads(said)["virtual-size"]) + ROOM)]
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", self.image.format(), "-b", self.image.file(), overlay, *size])
        return Disk(overlay, "qcow2")

    def _variables(self) -> Path | None:
        firmware = self.image.architecture.firmware.get(self.firmware)
        if firmware is None:
            return None
        for path in (firmware.code, firmware.variables):
            if not Path(path).exists():
                raise DebfleetError("the UEFI firmware is not installed", where=path, hint=f"apt-get install {firmware.package}")
        return Path(shutil.copy(firmware.variables, self.work / "variables.fd"))

    def _access(self, disks: list[Disk]) -> tuple[Access, dict[str, str]]:
        """How to log in, with what the guest must be given for that: a seed disk or credentials."""
        kind = self.image.access()
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
