# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module image_apply on what was asked for in a phase; nothing where nobody asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from debfleet.common.changes.request import FOLDER
from debfleet.controller.build_step import BuildStep


class ActionModule(BuildStep):
    """The phase's name becomes the file with its requests."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, or skip it."""
        variables = task_vars or {}
        phase = self._task.args.get("phase", "")
        requests = Path(variables["image_build"]["work"]) / FOLDER / phase
        if not requests.exists():
            return {"changed": False, "skipped": True, "skip_reason": "nobody asked for a change"}
        self._task.args = {"root": variables["image_tree"]["root"], "requests": str(requests)}
        return super().run(tmp, task_vars)
