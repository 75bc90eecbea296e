# SPDX-License-Identifier: GPL-3.0-or-later
"""A raw disk in the format that a manifest's `volume.backing` names, by qemu-img."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .. import journal
from ..errors import DebfleetError, MissingError
from ..run import CommandError, run

FULL = "No space left on device"


@dataclass(frozen=True)
class Format:
    """A format as qemu-img knows it: its name there, and whether it can be compressed by zstd."""

    name: str
    compressible: bool = False


FORMATS = {
    "raw": Format("raw"),
    "qcow2": Format("qcow2", compressible=True),
}


def convert(disk: Path, target: Path, backing: str, *, compress: bool = False) -> None:
    """Write a raw disk as a file of another format; its holes stay holes. Tells its progress.

    :param compress: qcow2 by zstd; half the size, and four times as slow to make.
    :raises DebfleetError: for a format that isn't there, or that can't be compressed; the target is gone then.
    """
    form = FORMATS.get(backing)
    if form is None:
        hint = f"one of {', '.join(FORMATS)}"
        raise DebfleetError(f"a disk can't be made a {backing} yet", where="volume.backing", hint=hint)
    if compress and not form.compressible:
        raise DebfleetError(f"{backing} can't be compressed", where="volume.backing")
    words = ["-c", "-o", "compression_type=zstd", "-W", "-m", "8"] if compress else []
    what = f"writing {target.name}"

    def tell(line: str) -> None:
        if found := re.search(r"\(([0-9.]+)/100%\)", line):
            journal.tell(what, float(found[1]), 100)

    journal.tell(what, 0, 100)
    try:
        run(["qemu-img", "convert", "-p", "-f", "raw", "-O", form.name, *words, disk, target], on_line=tell)
    except CommandError as error:
        target.unlink(missing_ok=True)
        if FULL in error.output:
            raise MissingError(f"no room is left for {target.name}", why=error.why) from error
        raise
    except BaseException:
        target.unlink(missing_ok=True)
        raise
