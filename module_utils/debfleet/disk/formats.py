# SPDX-License-Identifier: GPL-3.0-or-later
"""A raw disk in the format that a manifest's `volume.backing` names, by qemu-img."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import journal
from ..errors import DebfleetError, MissingError
from ..run import CommandError, run

FULL = "No space left on device"
THREADS = ("-W", "-m", "8")  # more gain nothing; the order in which they end is the file's


@dataclass(frozen=True)
class Format:
    """A format as qemu-img knows it.

    :param options: of `qemu-img convert`, always.
    :param compressed: its further options for each way of compression that it has.
    :param threads: whether it can be written out of order, and so by several threads.
    """

    name: str
    options: tuple[str, ...] = ()
    compressed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    threads: bool = False


FORMATS = {
    "raw": Format("raw"),
    "qcow2": Format(
        "qcow2",
        compressed={"zstd": ("-c", "-o", "compression_type=zstd"), "zlib": ("-c", "-o", "compression_type=zlib")},
        threads=True,
    ),
    "vmdk": Format("vmdk", compressed={"zlib": ("-c", "-o", "subformat=streamOptimized")}),
    "vdi": Format("vdi"),
    "vhd": Format("vpc", ("-o", "force_size=on")),  # else its size becomes a multiple of a cylinder's
    "vhdx": Format("vhdx"),
}


def compression(backing: str, wanted: str = "") -> str:
    """The way in which a format is compressed: the one that is wanted, else the format's best; none where it has none.

    :raises DebfleetError: when the format doesn't know the one that is wanted.
    """
    known = FORMATS[backing].compressed
    if wanted and wanted not in known:
        hint = f"one of {', '.join(known)}" if known else ""
        raise DebfleetError(f"{backing} can't be compressed by {wanted}", where="volume.backing", hint=hint)
    return wanted or next(iter(known), "")


def convert(disk: Path, target: Path, backing: str, *, compress: str = "", same: bool = False) -> None:
    """Write a raw disk as a file of another format; its holes stay holes. Tells its progress.

    :param compress: zstd or zlib, where the format has it; half the size, and some times as slow to make.
    :param same: let the same disk give the same file. Compressed by threads, it has the same content in another order.
    :raises DebfleetError: for a format that isn't there, or that can't be compressed so; the target is gone then.
    """
    form = FORMATS.get(backing)
    if form is None:
        hint = f"one of {', '.join(FORMATS)}"
        raise DebfleetError(f"a disk can't be made a {backing} yet", where="volume.backing", hint=hint)
    words = list(form.options)
    if compress:
        words += form.compressed[compression(backing, compress)]
        words += THREADS if form.threads and not same else ()
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
