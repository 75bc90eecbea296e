# SPDX-License-Identifier: GPL-3.0-or-later
"""Begin and end a phase of a build: show it, and write down its seconds. Nothing is executed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from debfleet.controller.progress import phase_label, reuse_lines

SECONDS = "phases.json"  # in the work folder: seconds by phase


class ActionModule(ActionBase):
    """Options: `begun`, the time that beginning the phase returned; without it the phase begins."""

    _supports_check_mode = True
    _requires_connection = False
    _VALID_ARGS = frozenset(("begun",))

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the time; at the end of a phase, show and keep how long it took."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        phase = variables["phase"]
        now = time.time()
        begun = self._task.args.get("begun")
        if begun is None:
            self._display.v(phase_label(phase))
        else:
            seconds = round(now - float(begun), 2)
            reused = reuse_lines(Path(variables["image_build"]["work"]), float(begun))
            self._display.display(f"{phase_label(phase)} {seconds:7.1f} s{reused}")
            self._keep(Path(variables["image_build"]["work"]) / SECONDS, phase, seconds)
        return {**result, "changed": False, "time": now}

    def _keep(self, path: Path, phase: str, seconds: float) -> None:
        if path.parent.is_dir():
            known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            path.write_text(json.dumps({**known, phase: seconds}), encoding="utf-8")
