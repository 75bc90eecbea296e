# SPDX-License-Identifier: GPL-3.0-or-later
"""Begin a phase of a build. Nothing is executed; image_apply ends it."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase

from debfleet.controller.progress import phase_label


class ActionModule(ActionBase):
    """Without options."""

    _supports_check_mode = True
    _requires_connection = False
    _VALID_ARGS: frozenset[str] = frozenset()

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the time."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._display.v(phase_label((task_vars or {})["phase"]))
        return {**result, "changed": False, "time": time.time()}
