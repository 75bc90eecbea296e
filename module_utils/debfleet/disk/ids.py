# SPDX-License-Identifier: GPL-3.0-or-later
"""The random ids that qemu-img gives an image file, exchanged for those that follow from what the image holds."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ..errors import DebfleetError

VDI = 0x188  # the image's UUID, and its last snapshot's behind it
VDI_MAGIC = (0x40, b"\x7f\x10\xda\xbe")
VMDK_HEAD = 1 << 16  # its description, a text, is in there
VMDK_ID = re.compile(rb"^(CID=)[0-9a-f]{8}$", re.MULTILINE)
FOOTER = 512  # bytes of a VHD's, at its end, and a copy of it at the beginning of a dynamic one
COOKIE = b"conectix"
TIME, SUM, UUID = 0x18, 0x40, 0x44  # of the footer: seconds since 2000, checksum, UUID


def unify(image: Path, backing: str, content: str) -> None:
    """Give an image file ids that are the same for the same content; a format that has none here stays as it is.

    :param content: the SHA-256 of the raw disk.
    :raises DebfleetError: where the file is none of that format, or of a shape that isn't known here.
    """
    if backing in WAYS:
        with image.open("r+b") as file:
            WAYS[backing](file, hashlib.sha256(f"{backing} {content}".encode()).digest())


def _vdi(file: IO[bytes], ids: bytes) -> None:
    at, magic = VDI_MAGIC
    file.seek(at)
    _expect(file.read(len(magic)) == magic, "vdi")
    file.seek(VDI)
    file.write(ids[:32])


def _vmdk(file: IO[bytes], ids: bytes) -> None:
    head = file.read(VMDK_HEAD)
    mended, count = VMDK_ID.subn(rb"\g<1>" + ids[:4].hex().encode(), head)
    _expect(count == 1, "vmdk")
    file.seek(0)
    file.write(mended)


def _vhd(file: IO[bytes], ids: bytes) -> None:
    end = file.seek(0, 2) - FOOTER
    for at in (0, end):
        file.seek(at)
        footer = bytearray(file.read(FOOTER))
        if footer[: len(COOKIE)] != COOKIE:
            _expect(at == 0, "vhd")
            continue
        footer[TIME : TIME + 4] = bytes(4)
        footer[UUID : UUID + 16] = ids[:16]
        footer[SUM : SUM + 4] = bytes(4)
        struct.pack_into(">I", footer, SUM, ~sum(footer) & 0xFFFFFFFF)
        file.seek(at)
        file.write(footer)


def _expect(found: bool, backing: str) -> None:
    if not found:
        raise DebfleetError(f"this {backing} has its ids in another place", where="volume.backing")


WAYS: dict[str, Callable[[IO[bytes], bytes], None]] = {"vdi": _vdi, "vmdk": _vmdk, "vhd": _vhd}
