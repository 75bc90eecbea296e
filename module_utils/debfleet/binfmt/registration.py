# SPDX-License-Identifier: GPL-3.0-or-later
"""binfmt_misc: the line that registers an interpreter, and what this machine has registered by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..architectures import Architecture

FOLDER = Path("/proc/sys/fs/binfmt_misc")
NAME = "debfleet"
FLAGS = "PF"  # the interpreter is told the program's name, and is opened now: other trees don't have it


def line(row: Architecture, interpreter: str | Path, name: str = NAME) -> str:
    """The line for binfmt_misc's `register`."""
    magic, mask = ("".join(f"\\x{byte:02x}" for byte in part) for part in row.elf_magic())
    return f":{name}:M::{magic}:{mask}:{interpreter}:{FLAGS}"


@dataclass(frozen=True)
class Registered:
    """What is registered for an architecture on this machine: by what name, which interpreter, with which flags."""

    name: str
    interpreter: str
    flags: str

    @property
    def reaches_trees(self) -> bool:
        """Whether it runs programs in a root tree that doesn't have the interpreter."""
        return "F" in self.flags


def parse(name: str, text: str, row: Architecture) -> Registered | None:
    """What a file in binfmt_misc says; None where it is switched off, or is for other programs."""
    words = dict(found for one in text.splitlines() if len(found := one.split(" ", 1)) == 2)
    if not text.startswith("enabled\n") or words.get("offset") != "0" or "magic" not in words:
        return None
    try:
        magic = bytes.fromhex(words["magic"])
        mask = bytes.fromhex(words.get("mask", "ff" * len(magic)))
    except ValueError:
        return None
    header = row.elf_magic()[0]
    if len(magic) < 20 or any(one & bits != want & bits for one, want, bits in zip(header, magic, mask, strict=False)):
        return None
    return Registered(name, words.get("interpreter", ""), words.get("flags:", ""))


def registered(row: Architecture, folder: Path = FOLDER) -> Registered | None:
    """What this machine has registered for an architecture; the one that was registered last, as the kernel has it."""
    found = []
    for file in folder.iterdir() if folder.is_dir() else []:
        if file.name in ("register", "status"):
            continue
        try:
            entry = parse(file.name, file.read_text(encoding="utf-8"), row)
            since = file.stat().st_ctime
        except OSError:
            continue
        if entry:
            found.append((since, entry))
    return max(found, key=lambda one: one[0])[1] if found else None
