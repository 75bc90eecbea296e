# SPDX-License-Identifier: GPL-3.0-or-later
"""What `-e on_error=…` asks for: what happens when a task of a build fails, before the rollback."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from debfleet.common.phases import PHASES
from debfleet.common.shell import terminal

ROLLBACK, SHELL = "rollback", "shell"
WAYS = (ROLLBACK, SHELL)
# Set by ansible-runner, which gives a play a terminal that nobody sits at.
NOBODY = ("AWX_ISOLATED_DATA_DIR", "RUNNER_OMIT_EVENTS", "RUNNER_ONLY_FAILED_EVENTS")
IGNORED = "note: on_error=shell is ignored: {why}; a failure is rolled back at once, as without it"


def wanted(asked: Any, play: int) -> tuple[str, str]:
    """What is to happen, and a sentence for the user where that isn't what was asked for.

    :param asked: the extra variable.
    :param play: the pid of ansible-playbook.
    Raises ValueError where there is no such way.
    """
    way = str(asked or ROLLBACK)
    if way not in WAYS:
        raise ValueError(f"on_error is {' or '.join(WAYS)}, not {way}")
    if way == SHELL and any(name in os.environ for name in NOBODY):
        return ROLLBACK, IGNORED.format(why="nobody sits at the terminal that ansible-runner gives a play")
    if way == SHELL and not terminal.in_foreground(play):
        return ROLLBACK, IGNORED.format(why="this play has no terminal")
    return way, ""


def may_be_rescued(task: Any) -> bool:
    """Whether a task is in a block that has a rescue: then its failure is that block's affair."""
    block = getattr(task, "_parent", None)
    while block is not None:
        if getattr(block, "rescue", None):
            return True
        block = getattr(block, "_parent", None)
    return False


def phase_of(task: Any) -> str:
    """The phase that a task belongs to; empty for a task of none, and where the rollback has begun."""
    phase = str(task.get_vars().get("phase") or "")
    return phase if phase in PHASES[:-1] else ""


def open_shell(variables: Mapping[str, Any], phase: str, told: str) -> None:
    """Open a shell where a task of a build has failed, if that was asked for and there is a build to look at.

    :param variables: of the task that failed.
    :param told: all that is said of its failure.
    """
    from debfleet.common.shell import failed

    build = variables.get("image_build") or {}
    work = Path(str(build.get("work") or ""))
    if build.get("on_error") != SHELL or not build.get("work") or not work.is_dir():
        return
    tree = (variables.get("image_tree") or {}).get("root")
    failed.open_shell(work, Path(tree) if tree else None, phase, told)
