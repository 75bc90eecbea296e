# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask for a change of the image. Nothing is executed: the phase's end makes all changes at once (image_apply)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from debfleet.common.changes.request import FOLDER, Request
from debfleet.common.changes.table import KINDS
from debfleet.common.phases import did_you_mean


class ActionModule(ActionBase):
    """Checks what a task asks for and writes it down."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the requests into the build's folder; with --check --diff, show them."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        requests = [self._request(kind, value) for kind, value in self._task.args.items()]
        if not self._task.check_mode:
            folder = Path(variables["image_build"]["work"]) / FOLDER
            folder.mkdir(mode=0o700, exist_ok=True)
            fd = os.open(folder / variables["phase"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write("".join(request.to_line() for request in requests))
        if self._task.diff and not self._task.no_log:
            asked = json.loads(json.dumps({request.kind: request.value for request in requests}))
            result["diff"] = {"before": "", "after": yaml.safe_dump(asked, sort_keys=False, allow_unicode=True)}
        result["changed"] = False
        return result

    def _request(self, kind: str, value: Any) -> Request:
        if kind not in KINDS:
            raise AnsibleActionFail(
                f"{kind} is no kind of change{did_you_mean(kind, KINDS)}; there are {', '.join(sorted(KINDS))}"
            )
        try:
            KINDS[kind].check(value)
        except ValueError as error:
            raise AnsibleActionFail(f"{kind}: {error}") from error
        role = Path(self._task._role.get_name()).name if self._task._role else "playbook"
        return Request(role=role, task=self._task.name, kind=kind, value=value)
