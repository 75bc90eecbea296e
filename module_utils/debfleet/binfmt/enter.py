# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a command where programs of another architecture are run by an interpreter that nobody else has.

A user namespace has a binfmt_misc of its own, from Linux 6.7 on: what is registered there holds in it alone, and is
gone with it. For the machine's root the namespace has all ids as they are.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence

from .. import userns
from ..errors import DebfleetError, MissingError
from .registration import FOLDER

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def words(line: str) -> list[str]:
    """The words to put before a command so that it runs with this line registered. See registration.line."""
    return [sys.executable, "-P", "-m", "debfleet.common.binfmt.enter", line]


def enter(line: str) -> None:
    """Become root of a user namespace where the line is registered. Raises MissingError where that can't be."""
    userns.enter(always=True)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        raise _missing("could not make a mount namespace")
    if libc.mount(b"none", os.fsencode(FOLDER), b"binfmt_misc", 0, None):
        raise _missing("this kernel has no binfmt_misc for a user namespace")
    try:
        (FOLDER / "register").write_text(line, encoding="utf-8")
    except OSError as error:
        raise MissingError("could not register an interpreter", why=str(error)) from error


def _missing(what: str) -> MissingError:
    return MissingError(what, why=os.strerror(ctypes.get_errno()), hint="Linux 6.7 and later have it")


def main(argv: Sequence[str]) -> None:
    """Register the line that is given, and run the command that follows it: it takes the place of this process."""
    line, *command = argv
    try:
        enter(line)
        os.execvpe(command[0], command, os.environ)
    except DebfleetError as error:
        sys.exit(f"{error.what}: {error.why}" if error.why else error.what)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
