# SPDX-License-Identifier: GPL-3.0-or-later
"""Open a shell where a task of a build has failed, before the rollback, if the play was told to (on_error=shell)."""

from __future__ import annotations

DOCUMENTATION = """
name: image_failure
type: notification
short_description: A shell where a build failed
description:
  - With C(-e on_error=shell) a task of C(build-image.yml) that fails opens a shell in the place and with the
    environment of the command that failed, before the rollback. Leaving it goes on; the build fails as before.
  - It is a callback since callbacks run in the process that has the play's terminal.
"""

from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """The callback. Where debfleet can't be imported, image_plan says so, and there is nothing to do here."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "image_failure"

    def __init__(self) -> None:
        super().__init__()
        self._play: Any = None

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Remember the play, which knows the variables of its tasks."""
        self._play = play

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Open a shell, unless the failure is none of the build's."""
        if ignore_errors or self._play is None:
            return
        manager = self._play.get_variable_manager()
        variables = manager.get_vars(play=self._play, host=result.host, task=result.task)
        if (variables.get("image_build") or {}).get("on_error") != "shell":
            return
        from debfleet.controller import failure

        phase = failure.phase_of(result.task)
        if not phase or failure.may_be_rescued(result.task):
            return
        try:
            failure.open_shell(variables, phase, _told(result))
        except OSError as error:
            self._display.warning(f"no shell can be opened: {error}")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host that can't be reached has failed too."""
        self.v2_runner_on_failed(result)


def _told(result: Any) -> str:
    """All that is said of a failure, its causes too."""
    lines = [str(result.result.get("msg") or "")]
    event = result.exception.event if getattr(result, "exception", None) else None
    while event:
        lines.append(event.msg or "")
        event = event.chain.event if event.chain else None
    return "\n".join(lines)
