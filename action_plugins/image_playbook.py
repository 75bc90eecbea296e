# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a user's own playbook, or roles, on the tree of an image, by an ansible-playbook of its own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from debfleet.common import epoch, journal
from debfleet.common.errors import DebfleetError
from debfleet.common.masking import secrets_of
from debfleet.controller import playbook
from debfleet.controller.inside import Inside
from debfleet.controller.progress import shown


class ActionModule(ActionBase):
    """Options: `state`, applied, or checked, which only reads the playbook; the others are the plugin's settings."""

    _supports_check_mode = True
    _requires_connection = False
    _VALID_ARGS = frozenset(("state", "playbook", "roles", "extra_vars", "tags", "skip_tags", "opt_flags", "groups"))

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run it; its warnings are told, and what failed is told as the build's own failure."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        told: dict[str, Any] = {}
        self._compute_environment_string(told)
        if told.get(epoch.NAME):  # the playbook's processes are children of this worker
            os.environ[epoch.NAME] = str(told[epoch.NAME])
        given = {name: value for name, value in self._task.args.items() if value is not None}
        state = given.pop("state", "applied")
        settings = playbook.Settings(**given, vaults=self._vaults())
        work = Path(variables["image_build"]["work"])
        try:
            if state == "checked":
                self._check(settings, work)
            elif not self._task.check_mode:
                secrets = secrets_of(variables["image_build"]["manifest"])
                with journal.writing(work, secrets), shown(self._display, work, variables["phase"]):
                    inside = Inside(Path(variables["image_tree"]["root"]), work)
                    counts = playbook.apply(settings, inside, self._display.warning)
                    result.update(counts=counts, changed=bool(counts["changed"]))
        except DebfleetError as error:
            raise AnsibleActionFail(str(error)) from None
        return result

    def _check(self, settings: playbook.Settings, work: Path) -> None:
        if work.is_dir():
            with journal.writing(work):
                playbook.check(settings, work)
            return
        with tempfile.TemporaryDirectory() as folder:  # a build that is only checked has no folder
            playbook.check(settings, Path(folder))

    def _vaults(self) -> tuple[tuple[str, bytes], ...]:
        """The passwords that the build was started with, wherever they came from."""
        vault = getattr(self._loader, "_vault", None)
        return tuple((str(label), bytes(secret.bytes)) for label, secret in (vault.secrets if vault else None) or ())
