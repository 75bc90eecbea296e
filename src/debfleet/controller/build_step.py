# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a module of a build: it is told the build's folder, and its progress is shown while it runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from debfleet.common.process import Process
from debfleet.common.run import UMASK
from debfleet.common.workspace import LEDGER, held_ledger
from debfleet.controller.forked import ForkedModule
from debfleet.controller.progress import shown


class BuildStep(ForkedModule):
    """The action of every module that is part of a build. Outside of one it just runs the module."""

    _supports_check_mode = True
    _supports_async = False
    as_root = True  # whether the module works on what belongs to users of the image
    stands_alone = False  # whether the module can be checked though the steps before it were only checked too

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module."""
        os.umask(UMASK)  # of this worker, and so of the module that it starts
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = self.arguments(variables)
        build = variables.get("image_build") or {}
        if self._task.check_mode and build and not self.stands_alone:
            return {**result, "changed": True, "msg": "would run; what it works on comes to be only in a build"}
        self._forks = self.can_fork(variables)
        self._as_root = self.as_root
        if not build.get("work") or self._task.check_mode:
            result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
            return result
        arguments["build"] = build["work"]
        work, phase = Path(build["work"]), variables.get("phase", "")

        @contextlib.contextmanager
        def held(process: Process) -> Iterator[None]:
            if (work / LEDGER).exists():  # a fork has the environment of the play, without the build's mark
                held_ledger(work).add("process", pid=process.pid, start=process.start)
            with shown(self._display, work, phase):
                yield

        self._on_fork = held
        with contextlib.nullcontext() if self._forks else shown(self._display, work, phase):
            result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        return result

    def arguments(self, variables: dict[str, Any]) -> dict[str, Any]:
        """What the module is given; the task's own arguments unless a step adds to them."""
        return dict(self._task.args)
