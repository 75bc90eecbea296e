# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image of another architecture takes that this machine hasn't, said before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from debfleet.common.architectures import architecture
from debfleet.common.binfmt import programs
from debfleet.common.errors import DebfleetError
from debfleet.common.foreign.decide import WAYS, emulator


def require(manifest: Mapping[str, Any], way: str) -> None:
    """See that programs of the image's architecture can be run here.

    :param way: what was asked for by the extra variable `foreign`.
    :raises MissingError: where the emulator is missing, naming its package.
    :raises DebfleetError: where the way is none, or the bootstrap tool can't go it.
    """
    if way not in WAYS:
        raise DebfleetError(f"foreign={way} is none of {', '.join(WAYS)}")
    row = architecture(manifest["system"]["architecture"])
    if programs.runs_here(row):
        return
    emulator(row)
    if manifest["bootstrapper"].get("tool") == "debootstrap" and way != "host":
        raise DebfleetError(
            f"debootstrap can't make a tree of {row.name} on this machine",
            where="bootstrapper.tool",
            why="it makes device nodes, and programs of another architecture are run where even root can make none",
            hint="take mmdebstrap, the default; or -e foreign=host, where this machine has an interpreter registered",
        )
