# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the EFI system partition of a filled disk, by mtools."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ..disk.shape import Layout
from ..disk.tools import MTOOLS, at
from ..errors import DebfleetError
from ..run import run

FOLDER = "EFI/BOOT"  # what firmware boots from a disk that it has no entry for


def put(disk: Path, layout: Layout, files: Mapping[str, Path], *, check_mode: bool = False) -> list[str]:
    """Put files on the ESP, each at its path there, unless they are there already.

    :returns: ``["ESP"]`` where something was written, or would be in check mode.
    :raises DebfleetError: where the disk has none.
    """
    if layout.esp is None:
        raise DebfleetError("there is no ESP for UEFI to boot from", where="volume.partitions")
    where = at(disk, layout.esp)
    with tempfile.TemporaryDirectory(prefix=f".{disk.name}.", dir=disk.parent) as folder:
        missing = {path: file for path, file in files.items() if not _is_there(where, path, file, Path(folder))}
    if check_mode or not missing:
        return ["ESP"] if missing else []
    for path, file in missing.items():
        for parent in list(PurePosixPath(path).parents)[-2::-1]:
            run(["mmd", "-D", "s", "-i", where, f"::{parent}"], check=False, env=MTOOLS)  # fails where it is there
        run(["mcopy", "-D", "o", "-m", "-i", where, file, f"::{path}"], env=MTOOLS)
    return ["ESP"]


def _is_there(where: str, path: str, file: Path, folder: Path) -> bool:
    copy = folder / path.replace("/", "_")
    done = run(["mcopy", "-n", "-i", where, f"::{path}", copy], check=False, env=MTOOLS)
    return done.returncode == 0 and copy.read_bytes() == file.read_bytes()
