# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module image_proof with its progress shown, as a step of a build or by itself.

The image's folder is seen from where the user stands: a module runs in the playbook's folder.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError

try:
    from debfleet.common.errors import MissingError
    from debfleet.controller import environment
    from debfleet.controller.build_step import BuildStep
except ImportError as error:
    raise AnsibleError(
        f"this ansible-playbook runs on {sys.executable}, which has no debfleet: run `make setup`, then "
        "`.venv/bin/ansible-playbook`, or `source .venv/bin/activate` first"
    ) from error


class ActionModule(BuildStep):
    """Outside of a build it is given a folder to tell its progress into, for as long as it runs."""

    as_root = False  # the machine is the user's own, by the user's libvirt

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = dict(task_vars or {})
        try:
            environment.require()
        except MissingError as error:
            raise AnsibleActionFail(str(error)) from None
        if not self._task.args.get("folder"):
            raise AnsibleActionFail("name an image: -e image=build/NAME")
        if (variables.get("image_build") or {}).get("work"):
            return super().run(tmp, variables)
        with tempfile.TemporaryDirectory(prefix="debfleet-proof-") as folder:
            return super().run(tmp, {**variables, "image_build": {"work": folder}})

    def arguments(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The task's arguments, with the image's folder made absolute."""
        arguments = super().arguments(variables)
        if folder := arguments.get("folder"):
            arguments["folder"] = str(Path(folder).expanduser().absolute())
        return arguments
