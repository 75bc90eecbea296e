# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module image_apply on what was asked for in a phase; nothing where nobody asked. Then the phase has ended."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from debfleet.common.changes.request import FOLDER
from debfleet.controller.build_step import BuildStep
from debfleet.controller.progress import phase_label, reuse_lines

SECONDS = "phases.json"  # in the work folder: seconds by phase


class ActionModule(BuildStep):
    """Options: `begun`, when the phase began. The phase's name becomes the file with its requests."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, or skip it; then show and keep how long the phase took."""
        variables = task_vars or {}
        begun, work = float(self._task.args["begun"]), Path(variables["image_build"]["work"])
        requests = work / FOLDER / variables["phase"]
        result: dict[str, Any] = {"changed": False, "skipped": True, "skip_reason": "nobody asked for a change"}
        if requests.exists():
            self._task.args = {"root": variables["image_tree"]["root"], "requests": str(requests)}
            result = super().run(tmp, task_vars)
        if not result.get("failed"):
            self._end(work, variables["phase"], begun)
        return result

    def _end(self, work: Path, phase: str, begun: float) -> None:
        seconds = round(time.time() - begun, 2)
        self._display.display(f"{phase_label(phase)} {seconds:7.1f} s{reuse_lines(work, begun)}")
        if work.is_dir():
            path = work / SECONDS
            known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            path.write_text(json.dumps({**known, phase: seconds}), encoding="utf-8")
