# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user's own playbook, run inside an image, tells the build: lines for its log, and events to read."""

from __future__ import annotations

DOCUMENTATION = """
name: image_playbook
type: stdout
short_description: A user's playbook as a step of a build
description:
  - Prints a line for each play and task, with the task's file and line, and one for each result.
  - Writes what a build must know (failures, warnings, how it ended) as JSON lines into the file that
    C(DEBFLEET_PLAYBOOK_EVENTS) names.
  - The plugin C(ansible) of an image uses it.
author: debfleet (@debfleet)
"""

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

EVENTS = "DEBFLEET_PLAYBOOK_EVENTS"


class CallbackModule(CallbackBase):
    """The callback."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "image_playbook"

    def _tell(self, event: str, **more: Any) -> None:
        if path := os.environ.get(EVENTS):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"event": event, **more}, default=str) + "\n")

    def _result(self, word: str, result: Any) -> None:
        told = result.result
        self._display.display(f"  {word}: {result.host.get_name()}")
        for warning in told.get("warnings") or ():
            self._display.display(f"  warning: {_text(warning)}")
            self._tell("warning", **_place(result.task), msg=_text(warning))

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Name the play."""
        self._display.display(f"PLAY {play.get_name()}")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Name the task, and where it stands."""
        self._display.display(f"TASK {task.get_name()}  ({task.get_path()})")

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Name the handler."""
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Say whether it changed anything."""
        self._result("changed" if result.result.get("changed") else "ok", result)
        if result.task.action.endswith("debug") and "msg" in result.result:
            self._display.display(f"  {_text(result.result['msg'])}")
        self._tell("done", **_place(result.task), host=result.host.get_name(), changed=result.is_changed())

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Say that it was skipped."""
        self._result("skipped", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Say why, once for the log and once for the build."""
        told = result.result
        why = "\n".join(
            line for key in ("msg", "stderr", "module_stderr") if (line := _text(told.get(key) or "").strip())
        )
        for item in told.get("results") or ():
            if isinstance(item, dict) and item.get("failed"):
                why += f"\n{_text(item.get('msg') or '')} (item {item.get('item')})"
        why = why or _text(told.get("stdout") or "")
        self._result("failed, ignored" if ignore_errors else "FAILED", result)
        self._display.display("\n".join(f"    {line}" for line in why.splitlines()))
        if not ignore_errors:
            self._tell("failed", **_place(result.task), host=result.host.get_name(), msg=why)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host that can't be reached has failed."""
        self.v2_runner_on_failed(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Say how it ended for each host."""
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        for host, counts in hosts.items():
            self._display.display(f"{host}: " + ", ".join(f"{word} {count}" for word, count in counts.items() if count))
        self._tell("ended", hosts=hosts)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "msg", None) or json.dumps(value, default=str)


def _place(task: Any) -> dict[str, str]:
    return {"task": task.get_name(), "path": task.get_path() or ""}
