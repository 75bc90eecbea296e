# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build binds into its tree: which of the tools are taken, in which order of rules, and the emulator."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from fnmatch import fnmatch
from pathlib import Path

from ..architectures import Architecture
from ..binfmt.programs import NATIVE
from . import native, table

TOOLS, EMULATOR = "t", "qemu"


def lay_out(
    folder: Path,
    tools: Path,
    programs: Mapping[str, str],
    *,
    here: Architecture,
    there: Architecture,
    refused: Collection[str],
    emulator: Path,
) -> int:
    """Fill the folder that is bound to NATIVE/a, anew. Returns how many programs are native.

    :param tools: the tree of tools, and `programs` in it with the package of each.
    :param refused: packages none of whose programs is taken.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / TOOLS).mkdir(parents=True)
    count = 0
    for path, package in programs.items():
        inside, seen = _places(path, there)
        link = folder / TOOLS / seen
        if package in refused or (link.name in table.OF_BYTE_ORDER and here.big_endian != there.big_endian):
            continue
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.name in table.DPKG:
            content = native.patched_dpkg((tools / inside).read_bytes(), here.name, there.name)
            if content is None:
                continue
            link.write_bytes(content)
            link.chmod(0o755)
        else:
            link.symlink_to(f"{NATIVE}/{inside}")
        rules = next((rules for pattern, rules in table.RULES.items() if fnmatch(link.name, pattern)), ())
        if rules:
            text = "\n".join(rules).format(library=f"/usr/lib/{there.triplet}", native=f"{NATIVE}/{native.LIBRARIES}")
            link.with_name(f"{link.name}.only").write_text(f"{text}\n", encoding="utf-8")
        count += 1
    (folder / Path(native.IMAGE).name).symlink_to(f"/usr/lib/{there.triplet}")
    shutil.copyfile(emulator, folder / EMULATOR)
    (folder / EMULATOR).chmod(0o755)
    return count


def _places(path: str, there: Architecture) -> tuple[str, str]:
    """Where a program is in the tree of tools, and where in the image."""
    beside = path.removeprefix(f"{native.LIBRARIES}/")
    return (path, f"usr/lib/{there.triplet}/{beside}") if beside != path else (f"{native.PROGRAMS}/{path}", path)
