# SPDX-License-Identifier: GPL-3.0-or-later
"""No random seed and no credential secret is shared by the machines of this image."""

from __future__ import annotations

from ..results import Result
from ..subject import Subject

PATHS = (
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret",
    "/var/lib/urandom/random-seed",
    "/var/lib/random-seed",
    "/boot/loader/random-seed",
    "/boot/efi/loader/random-seed",
    "/efi/loader/random-seed",
)
ON_ESP = "/loader/random-seed"


def check(subject: Subject, result: Result) -> None:
    """Seeds and secrets of systemd, sysvinit and systemd-boot."""
    result.look(*PATHS, f"{ON_ESP} of the EFI system partition")
    for path in PATHS:
        entry = subject.root.entry(path)
        if entry and entry.stat.st_size:
            result.find(path, "a random secret, the same on every machine of this image", "remove it when cleaning")
    for path in subject.esp:
        if path.lower() == ON_ESP:
            result.find(f"ESP:{path}", "a random seed, the same on every machine of this image", "remove it")
