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
from pathlib import Path
from typing import Any

from .. import journal, reaper
from ..errors import DebfleetError, FindingsError
from ..ledger import Ledger, heal
from ..process import Process
from . import direct
from .acceleration import of_image
from .attempt import Attempt, Boot, Options
from .daemon import connected, default_uri
from .image import ImageFolder
from .machine import DIRECT
from .preflight import installed

PROOF = "proof.json"
SERIAL = "serial.log"


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
    if options.kernel or image.bootloader() == "none":
        return [DIRECT]
    wanted = options.firmware or image.firmware()
    known = image.machine.firmware
    for name in wanted:
        if name not in known:
            hint = (
                f"allowed: {', '.join(known)}" if known else "set system.bootloader to none: it boots a kernel directly"
            )
            raise DebfleetError(f"{image.architecture.name} has no firmware {name}", hint=hint)
    return wanted


def prove(folder: str | Path, options: Options, ledger: Ledger | None = None) -> dict[str, Any]:
    """Boot the image in this folder by each firmware, and write proof.json and serial.log there.

    Raises BootError where a boot stops, FindingsError where one got through and a check fails; the serial log is
    written in both cases, a proof only when all is well (an older one is taken away).

    :param ledger: of the running build; without one, a ledger of this proof's own is kept.
    """
    image = ImageFolder.read(folder)
    firmware = _firmware(image, options)
    kernel = options.kernel or direct.beside(image)
    installed(image.architecture, image.machine, firmware)
    (image.path / PROOF).unlink(missing_ok=True)
    journal.tell("reading the image")
    digest = image.digest()
    boots: list[Boot] = []
    logs: list[str] = []
    with _held(ledger) as holding, _folder(holding) as work, connected(options.uri) as connection:
        acceleration = of_image(options.accelerator, image.architecture, image, kernel.image if kernel else None)
        journal.tell(f"boots on {acceleration.name}: {acceleration.reason}")
        for name in firmware:
            boot = Attempt(image, options, acceleration, _made(work / name), name, kernel)
            try:
                boots.append(boot.run(connection, holding))
            finally:
                logs.append(f"=== boot by {name}\n{boot.said()}")
                _write(image.path / SERIAL, "\n".join(logs))
    proof = {
        "schema_version": 1,
        "sha256": digest,
        "file": image.file().name,
        "architecture": image.architecture.name,
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


@contextmanager
def _held(ledger: Ledger | None) -> Iterator[Ledger]:
    """The ledger that is given, or one of our own, released even when we are killed."""
    if ledger is not None:
        yield ledger
        return
    for line in heal():
        journal.log(line)
    own = Ledger.open(f"boot-{os.getpid()}-{secrets.token_hex(4)}", Process.of(os.getpid()))
    reaper.start(own)
    try:
        yield own
    finally:
        for trouble in own.release():
            journal.log(f"could not be released: {trouble}")


@contextmanager
def _folder(ledger: Ledger) -> Iterator[Path]:
    """A folder of our own, in the ledger before it is made."""
    path = Path(tempfile.gettempdir()) / f"debfleet-boot-{os.getpid()}-{secrets.token_hex(4)}"
    entry = ledger.add("folder", path=str(path))
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        ledger.drop(entry)


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
