# SPDX-License-Identifier: GPL-3.0-or-later
"""Find an image that was made of the very same inputs. Nothing is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from debfleet.controller import unchanged


class ActionModule(ActionBase):
    """Options: `archive`, the state of the archive in one word.

    Returns `inputs`, by name, `folder`, where such an image lies, or nothing, and `proven`, whether its proof is of
    these very bytes.
    """

    _supports_check_mode = True
    _requires_connection = False
    _VALID_ARGS = frozenset(("archive",))

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look through the folder of images, and say so where there is one; else say what has changed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        build = (task_vars or {})["image_build"]
        inputs = {**build["inputs"], "archive": str(self._task.args["archive"])}
        found = None
        if not self._task.check_mode:
            found = unchanged.find(Path(build["build_dir"]), build["name"], inputs)
            if found and build["rebuild"]:
                found = None
            elif found:
                self._display.display(f"nothing has changed since {found} was built; -e rebuild=true builds it anyway")
            elif changed := unchanged.why(Path(build["folder"]), inputs):
                self._display.display(f"note: {build['name']} is built anew, changed: {', '.join(changed)}")
        return {
            **result,
            "changed": False,
            "inputs": inputs,
            "folder": str(found or ""),
            "proven": unchanged.proven(found),
        }
