# SPDX-License-Identifier: GPL-3.0-or-later
"""metadata.json: what the image is, how large, how it is laid out, and how long each phase took."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from importlib import metadata as distributions
from pathlib import Path
from typing import Any

from ..bases.fingerprint import of_parts
from ..disk.sparse import extents

SCHEMA_VERSION = 1
BLOCK = 1024**2
ZEROS = bytes(BLOCK)


def version() -> str:
    """debfleet's own version."""
    try:
        return distributions.version("debfleet")
    except distributions.PackageNotFoundError:
        return "unknown"


def sha256(path: Path) -> str:
    """The SHA-256 of a file; holes are not read."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(BLOCK))
    with path.open("rb", buffering=0) as file:
        size, position = os.fstat(file.fileno()).st_size, 0
        for start, stop in extents(file.fileno(), 0, size):
            _zeros(digest, start - position)
            file.seek(position := start)
            while position < stop and (count := file.readinto(buffer[: min(BLOCK, stop - position)])):
                digest.update(buffer[:count])
                position += count
        _zeros(digest, size - position)
    return digest.hexdigest()


def _zeros(digest: hashlib._Hash, count: int) -> None:
    for _ in range(count // BLOCK):
        digest.update(ZEROS)
    digest.update(ZEROS[: count % BLOCK])


def built(reproducible: bool) -> str:
    """The time of the build in UTC; that of SOURCE_DATE_EPOCH where the image is to be reproducible."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "") if reproducible else ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(epoch) if epoch.isdigit() else time.time()))


def make(
    image: Path,
    *,
    digest: str,
    virtual_size: int,
    manifest: Mapping[str, Any],
    layout: Mapping[str, Any],
    seconds: Mapping[str, float],
    kernel: str | None,
    packages: int,
    time_built: str,
    saved: Mapping[str, Mapping[str, int]],
    inputs: Mapping[str, str],
) -> dict[str, Any]:
    """metadata.json, as in its schema. Sizes are in bytes: of the disk as a guest sees it, on our disk, of the file.

    :param saved: bytes before and after each measure that makes the image smaller.
    """
    stat = image.stat()
    system = manifest["system"]
    return {
        "schema_version": SCHEMA_VERSION,
        "name": manifest["name"],
        "debfleet": version(),
        "built": time_built,
        "file": image.name,
        "format": manifest["volume"]["backing"],
        "sha256": digest,
        "sizes": {"virtual": virtual_size, "allocated": stat.st_blocks * 512, "file": stat.st_size},
        "savings": {measure: dict(sizes) for measure, sizes in saved.items()},
        "provider": manifest["provider"]["name"],
        "release": system["release"],
        "architecture": system["architecture"],
        "firmware": system["firmware"],
        "bootloader": system["bootloader"],
        "kernel": kernel,
        "packages": packages,
        "layout": dict(layout),
        "seconds": dict(seconds),
        **({"inputs": {"key": of_parts(inputs), "parts": dict(sorted(inputs.items()))}} if inputs else {}),
    }
