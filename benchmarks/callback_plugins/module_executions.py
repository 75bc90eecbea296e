# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what a run costs most by: each module that is packed and executed, in whichever action it is."""

from __future__ import annotations

import functools
import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: module_executions
type: aggregate
short_description: A line for each module that is executed
description:
  - Appends the name of each module that an action executes to the file that E(DEBFLEET_MODULE_EXECUTIONS) names.
  - Actions that stay on the controller, as C(debug) and C(set_fact) do, are not counted.
"""


class CallbackModule(CallbackBase):
    """The callback. It wraps the one method by which every action executes a module; workers are forks, and have it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "module_executions"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        path = os.environ["DEBFLEET_MODULE_EXECUTIONS"]
        execute = ActionBase._execute_module

        @functools.wraps(execute)
        def counted(action: Any, module_name: str | None = None, *args: Any, **words: Any) -> Any:
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"{module_name or action._task.action}\n")
            return execute(action, module_name, *args, **words)

        ActionBase._execute_module = counted
