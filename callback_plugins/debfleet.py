# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees of a play of debfleet: its phases, what is asked for, and why it failed."""

from __future__ import annotations

DOCUMENTATION = """
name: debfleet
type: stdout
short_description: A line a phase, and errors as sentences
description:
  - Shows no line for each task, only what tasks print themselves; with C(-v) the tasks too.
  - A failure is told with the phase, the task, its file, and the whole chain of causes.
"""

import atexit
import contextlib
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

FILLER = ("Task failed", "Module failed", "Unhandled exception")


class CallbackModule(CallbackBase):
    """The callback."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "debfleet"

    def __init__(self) -> None:
        super().__init__()
        self._start = time.monotonic()
        self._failed_log = self._log = ""
        self._task: Any = None
        self._ended = False
        self._pid = os.getpid()
        atexit.register(self._at_exit)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """With -v, name the task."""
        self._task = task
        if self._display.verbosity:
            self._display.display(f"         {_name(task)}")

    def v2_runner_on_ok(self, result: Any) -> None:
        """Print what debug prints, and the module's warnings."""
        self._handle_warnings(result.result)
        if result.result.get("failed_log"):
            self._failed_log, self._log = result.result["failed_log"], result.result.get("log", "")
        if result.task.action in ("debug", "ansible.builtin.debug", "ansible.legacy.debug"):
            msg = result.result.get("msg", "")
            self._display.display("\n".join(map(str, msg)) if isinstance(msg, list) else str(msg))

    def v2_on_file_diff(self, result: Any) -> None:
        """With --diff, show what a task would change."""
        diff = result.result.get("diff")
        if diff and result.result.get("_ansible_no_log") is not True:
            shown = self._get_diff(diff)
            if shown:
                self._display.display(f"{_name(result.task)}\n{shown}")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Tell what failed, where, and why."""
        if ignore_errors:
            return
        task, told = result.task, result.result
        lines = [f"FAILED  {_place(task)}", *_indented(_plain(told.get("msg") or told.get("reason") or ""))]
        lines += [line for cause in _causes(result, str(told.get("msg"))) for line in _indented(cause)]
        if path := task.get_path():
            lines += _indented(f"task: {path}")
        if self._failed_log:
            lines += _indented(f"log:  {self._failed_log}")
        self._display.display("\n".join(lines), color="red")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host that can't be reached has failed too."""
        self.v2_runner_on_failed(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """An item that failed is told when its task has failed."""

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """A play without a host does nothing, and says so."""
        self._display.display("no host matched: nothing was done", color="red")

    def _at_exit(self) -> None:
        """A play that is interrupted gets no statistics: say what it was doing, and where its log is kept."""
        if self._ended or self._task is None or os.getpid() != self._pid:
            return
        lines = [f"INTERRUPTED  {_place(self._task)}"]
        if command := _last_command(self._log):
            lines += _indented(f"while: {command}")
        if self._failed_log:
            lines += _indented(f"log:   {self._failed_log}")
        self._display.display("\n".join(lines), color="red")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Say how it ended."""
        self._ended = True
        hosts = [stats.summarize(host) for host in stats.processed]
        bad = any(host["failures"] or host["unreachable"] for host in hosts)
        ended = "failed" if bad else "done"
        self._display.display(f"{ended} after {time.monotonic() - self._start:.0f} s", color="red" if bad else None)


def _place(task: Any) -> str:
    """Phase, role and task."""
    phase = task.get_vars().get("phase")
    return f"{phase}: {_name(task)}" if phase else _name(task)


def _last_command(log: str) -> str:
    """The command that ran last, as the log of the build has it."""
    with contextlib.suppress(OSError):
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line.partition(" + ")[2] for line in reversed(lines) if " + " in line[:12]), "")
    return ""


def _name(task: Any) -> str:
    """Role and task, the role by its name even where the play names its folder."""
    role = Path(task._role.get_name()).name if task._role else ""
    return f"{role}: {task.name}" if role else str(task.name or task.action)


def _plain(text: Any) -> str:
    """The text without the filler that Ansible puts before it."""
    words = str(text)
    for filler in FILLER:
        words = words.removeprefix(f"{filler}: ")
    return words


def _indented(text: Any) -> list[str]:
    return ["        " + line for line in str(text).splitlines()]


def _causes(result: Any, told: str) -> list[str]:
    """The lines of the causes of a failure, outermost first, without what was told already and Ansible's filler."""
    lines: list[str] = []
    event = result.exception.event if getattr(result, "exception", None) else None
    while event:
        message = event.msg or ""
        bare = bool(lines) and message.startswith("[Errno")  # a sentence of ours came before it
        if message not in told and not message.startswith(FILLER) and not bare:
            lines += [line for line in message.splitlines() if line not in lines]
        event = event.chain.event if event.chain else None
    return lines
