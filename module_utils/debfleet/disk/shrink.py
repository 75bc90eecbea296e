# SPDX-License-Identifier: GPL-3.0-or-later
"""The finished disk made as small as a manifest asks: free blocks, holes, compression, and the saving of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import savings
from ..run import run
from .formats import compression, convert
from .zerofree import zerofree

FILE = "shrink.json"  # in the work folder
VMWARE = "vmware-vdiskmanager"
WAYS = (True, False, VMWARE, "qemu-img", "qemu-img-no-compression")


@dataclass(frozen=True)
class Shrink:
    """What is asked for.

    :param how: one of WAYS: True is the format's own best; `qemu-img` compresses by it.
    :param compression: zstd or zlib; the format's best when empty.
    """

    how: bool | str = False
    compression: str = ""
    zerofree: bool = False

    def save(self, build: Path) -> None:
        """Leave it for the step that writes the image."""
        (build / FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, build: Path | None) -> Shrink:
        """What was asked for in this build; nothing by default."""
        path = build / FILE if build else None
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path and path.exists() else cls()

    def writes_disk(self, backing: str) -> bool:
        """Whether the raw disk itself is written; meanwhile nobody else should read it."""
        return self.zerofree or bool(self.how and backing == "raw")

    def compress(self, backing: str) -> str:
        """The compression of a format; none when there shall be none. Raises DebfleetError where it has no such one."""
        if self.how == "qemu-img":
            return compression(backing, self.compression or compression(backing) or "zlib")
        return compression(backing, self.compression) if self.how is True and compression(backing) else ""


def write(
    disk: Path,
    image: Path,
    backing: str,
    *,
    shrink: Shrink,
    layout: Mapping[str, Any],
    build: Path | None,
    place: Callable[[], None],
    same: bool = False,
) -> None:
    """Write the raw disk as the image, as small as is asked for; note what it saves.

    :param place: puts a raw disk into its place as it is.
    :param same: let the same disk give the same file.
    """
    if shrink.zerofree:
        savings.note(build, "zerofree", zerofree(disk, layout), 0)
    before = _taken(disk)
    if backing == "raw":
        if shrink.how:
            run(["fallocate", "--dig-holes", disk])
        place()
    else:
        convert(disk, image, backing, compress=shrink.compress(backing), same=same)
        if shrink.how == VMWARE:
            run([VMWARE, "-k", image])
    if shrink.how:
        savings.note(build, "shrink", before, _taken(image))


def _taken(path: Path) -> int:
    return path.stat().st_blocks * 512
