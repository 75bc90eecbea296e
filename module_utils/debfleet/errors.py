# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors as a user reads them, and the exit codes of every command."""

from __future__ import annotations

OK = 0
FINDINGS = 1
USAGE = 2
MISSING = 3
FAILED = 4
INTERRUPTED = 130


class DebfleetError(Exception):
    """Something failed: what, where, why and what to do, each in words for the user.

    :param what: what failed, as a sentence without a full stop ("could not format the root filesystem").
    :param where: a path in the manifest, a file or a task.
    :param why: the tool's own last words.
    :param hint: what to do next.
    """

    code = FAILED

    def __init__(self, what: str, *, where: str = "", why: str = "", hint: str = "") -> None:
        self.what, self.where, self.why, self.hint = what, where, why, hint
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"  where: {self.where}"] if self.where else []
        lines += ["  why: " + self.why.strip().replace("\n", "\n       ")] if self.why else []
        lines += [f"  do: {self.hint}"] if self.hint else []
        return "\n".join(lines)


class MissingError(DebfleetError):
    """A tool, a permission or room on the disk is missing."""

    code = MISSING


class FindingsError(DebfleetError):
    """What was looked at is wrong: a manifest, an image."""

    code = FINDINGS


class Interrupted(BaseException):
    """A signal asked this process to end. Not an Exception, so that nothing swallows it on its way out."""

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        super().__init__(f"interrupted by signal {signal_number}")
