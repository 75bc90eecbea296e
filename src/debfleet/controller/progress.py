# SPDX-License-Identifier: GPL-3.0-or-later
"""Showing how far a build is: a line that changes on a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from debfleet.common.bases.lineage import REUSE
from debfleet.common.journal import PROGRESS
from debfleet.common.phases import PHASES

BAR = 20
LIVE_EVERY = 0.2  # seconds
PLAIN_EVERY = 15.0
CLEAR = "\r\x1b[K"


class Display(Protocol):
    """What Ansible's display offers; it also reaches ansible-runner's events."""

    def display(self, msg: str, *, newline: bool = True) -> None:
        """Print a line, or a piece of one."""


@dataclass(frozen=True)
class Step:
    """What one module of a build tells: the phase it runs in, and the last note it has written."""

    phase: str
    note: dict[str, Any]
    seconds: float

    def line(self, width: int = 0) -> str:
        """`[ 5/11] os_installation  ███████░░░░  37 %  unpacking libc6  12 s`, cut to the width when one is given."""
        parts = [phase_label(self.phase)]
        done, of = self.note.get("done"), self.note.get("of")
        if done is not None and of:
            share = max(0.0, min(1.0, done / of))
            filled = round(share * BAR)
            parts.append("█" * filled + "░" * (BAR - filled) + f" {share:4.0%}")
        parts += [str(self.note.get("what", "")), f"{self.seconds:.0f} s"]
        line = "  ".join(part for part in parts if part)
        return line if not width or len(line) < width else line[: width - 2] + "…"


def phase_label(phase: str) -> str:
    """`[ 5/11] os_installation` in a column of its own."""
    if phase not in PHASES:
        return phase
    return f"[{PHASES.index(phase) + 1:2}/{len(PHASES)}] {phase:20}"


def reuse_lines(build: Path, since: float) -> str:
    """What steps reused, or why they didn't, to stand behind a phase's seconds: `  reused, made 2 hours ago in 9 s`."""
    path = build / REUSE
    if not path.exists():
        return ""
    steps = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    told = [f"{'reused' if one['reused'] else 'made'}, {one['told']}" for one in steps if one["time"] >= since]
    return f"  {'; '.join(told)}" if told else ""


def on_a_terminal(pid: int) -> bool:
    """Whether a process's standard output is a terminal. Ansible's workers have none themselves, their parent may."""
    with contextlib.suppress(OSError):
        return str(Path(f"/proc/{pid}/fd/1").readlink()).startswith(("/dev/pts/", "/dev/tty"))
    return False


def _columns(pid: int) -> int:
    with contextlib.suppress(OSError):
        fd = os.open(f"/proc/{pid}/fd/1", os.O_WRONLY | os.O_NOCTTY)
        try:
            return os.get_terminal_size(fd).columns
        finally:
            os.close(fd)
    return 80


@contextlib.contextmanager
def shown(display: Display, build: Path, phase: str) -> Iterator[None]:
    """Show what is told into a build's folder, until the block ends. The folder may come to be only meanwhile."""
    done = threading.Event()
    live = on_a_terminal(os.getppid())
    path = build / PROGRESS
    before = path.stat().st_size if path.exists() else 0  # what earlier modules told
    watcher = threading.Thread(target=_watch, args=(display, path, before, phase, live, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(display: Display, path: Path, position: int, phase: str, live: bool, done: threading.Event) -> None:
    start = shown_at = time.monotonic()
    note: dict[str, Any] = {}
    width = _columns(os.getppid()) if live else 0
    while not done.wait(LIVE_EVERY):
        if path.exists():
            with path.open(encoding="utf-8") as lines:
                lines.seek(position)
                for line in lines.readlines():
                    if line.endswith("\n"):
                        position += len(line.encode())
                        note = json.loads(line)
        now = time.monotonic()
        if live:
            display.display(CLEAR + Step(phase, note, now - start).line(width), newline=False)
        elif now - shown_at >= PLAIN_EVERY:
            shown_at = now
            display.display(Step(phase, note, now - start).line())
    if live:
        display.display(CLEAR, newline=False)
