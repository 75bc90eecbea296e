# SPDX-License-Identifier: GPL-3.0-or-later
"""Name a program of this machine that a build will need, before anything is touched. Nothing is executed."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from debfleet.common.errors import MissingError
from debfleet.common.run import find


class ActionModule(ActionBase):
    """Options: `program`; `where`, the key of the manifest that asks for it; `hint`, what to do without it."""

    _supports_check_mode = True
    _requires_connection = False
    _VALID_ARGS = frozenset(("program", "where", "hint"))

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail where the program isn't there."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        options = self._task.args
        try:
            find(options["program"])
        except MissingError as error:
            told = MissingError(error.what, where=options.get("where", ""), hint=options.get("hint", error.hint))
            raise AnsibleActionFail(str(told)) from None
        return result
