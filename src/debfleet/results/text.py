# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs as text: unpacked and read in pieces of bounded size, and made harmless for a terminal."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import threading
from collections.abc import Iterator
from typing import IO, Any

from debfleet.common.errors import DebfleetError
from debfleet.common.run import find

LONGEST = 1 << 16  # bytes of a line; what is beyond is a line of its own
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
# Control characters, and those that reorder text.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
ZSTD, GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
CHUNK = 1 << 16


def clean(text: str) -> str:
    """Text without escape sequences and control characters but tabs and newlines; bytes that are no text replaced."""
    return UNSEEN.sub("", ESCAPES.sub("", text)).encode(errors="replace").decode()


def lines(log: IO[bytes]) -> Iterator[bytes]:
    """The lines of a log without their ends, none longer than LONGEST."""
    while line := log.readline(LONGEST):
        yield line.rstrip(b"\r\n")


@contextlib.contextmanager
def unpacked(packed: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """What a file says: unpacked where it is zstd or gzip by its first bytes, else as it is.

    :param packed: from its start.
    :raises DebfleetError: when it can't be unpacked to its end.
    """
    whole = io.BufferedReader(_Pieces(packed))
    first = whole.peek(4)[:4]
    if not first.startswith(GZIP) and first != ZSTD:
        yield whole
        return
    program = [find("gzip", "gzip"), "-dc"] if first.startswith(GZIP) else [find("zstd", "zstd"), "-dcq"]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None and process.stdout is not None
    feeder = threading.Thread(target=_feed, args=(whole, process.stdin), daemon=True)
    feeder.start()
    try:
        yield process.stdout
        if not process.stdout.read(1) and process.wait():
            raise DebfleetError("could not unpack a log", where=name, why="it is cut off, or damaged")
    finally:
        process.stdout.close()
        process.kill()
        process.wait()
        feeder.join()


def _feed(whole: IO[bytes], program: IO[bytes]) -> None:
    """Hand everything to a program. Where that can't be, the program misses the end, and says so."""
    with contextlib.suppress(OSError, ValueError, DebfleetError), program:
        while piece := whole.read(CHUNK):
            program.write(piece)


class _Pieces(io.RawIOBase):
    """What has nothing but `read`, as a raw file."""

    def __init__(self, source: IO[bytes]) -> None:
        self.source = source

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as one read does."""
        piece = self.source.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
