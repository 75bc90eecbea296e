# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in an initramfs: cpio archives of the form newc, one behind the other, the last of them compressed."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

from debfleet.common.run import run

MAGIC, HEADER, FIELD, END = b"070701", 110, 8, "TRAILER!!!"
UNPACK = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip"}


@dataclass(frozen=True)
class Member:
    """All that an archive says of a file, but for its times: what is generated has the time of that.

    :param links: of a file that is no folder; `device` of a device node.
    :param content: the SHA-256 of a file's content, or where a symbolic link leads.
    """

    mode: int
    owner: tuple[int, int]
    links: int
    device: tuple[int, int]
    content: str


def members(path: Path) -> dict[tuple[int, str], Member]:
    """The members of an initramfs by the number of their archive and their name. Raises ValueError on anything else."""
    data, at, archive = path.read_bytes(), 0, 0
    found: dict[tuple[int, str], Member] = {}
    while at < len(data):
        if data[at] == 0:  # between archives
            at += 1
        elif data[at : at + len(MAGIC)] == MAGIC:
            name, member, at = _member(data, at)
            if name == END:
                archive += 1
            elif found.setdefault((archive, name), member) != member:
                raise ValueError(f"{path} has {name} twice")
        else:
            data, at = _unpacked(path, data[at:]), 0
    return found


def _member(data: bytes, at: int) -> tuple[str, Member, int]:
    """The member whose header begins there: its name, what it is, and where the next begins."""
    numbers = data[at + len(MAGIC) : at + HEADER].decode()
    fields = [int(numbers[index : index + FIELD], 16) for index in range(0, len(numbers), FIELD)]
    _, mode, uid, gid, links, _, size, _, _, major, minor, length, _ = fields
    start = _padded(at + HEADER + length)
    name = data[at + HEADER : at + HEADER + length - 1].decode()
    body = data[start : start + size]
    content = body.decode() if stat.S_ISLNK(mode) else hashlib.sha256(body).hexdigest()
    member = Member(mode, (uid, gid), 0 if stat.S_ISDIR(mode) else links, (major, minor), content)
    return name, member, _padded(start + size)


def _padded(at: int) -> int:
    return at + -at % 4


def _unpacked(path: Path, rest: bytes) -> bytes:
    tool = next((tool for magic, tool in UNPACK.items() if rest.startswith(magic)), None)
    if tool is None:
        raise ValueError(f"{path} has neither an archive nor compressed data after its archives")
    compressed, plain = path.with_name(f".{path.name}.{tool}"), path.with_name(f".{path.name}.cpio")
    try:
        compressed.write_bytes(rest)
        run(["sh", "-c", 'exec "$1" -dcq < "$2" > "$3"', "sh", tool, compressed, plain])
        return plain.read_bytes()
    finally:
        compressed.unlink(missing_ok=True)
        plain.unlink(missing_ok=True)
