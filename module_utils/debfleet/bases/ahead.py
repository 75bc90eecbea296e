# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that fills a folder while the build goes on: begun by one step, waited for by a later one.

It outlives the step, not the build: what ends a build ends every process that has the build's mark in its environment.
Beside the folder there are, until it is waited for, FOLDER.begun, FOLDER.said and in the end FOLDER.status.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from .. import journal
from ..errors import DebfleetError
from ..process import Process
from ..run import UMASK

SCRIPT = '"$@" >"$0.said" 2>&1; echo $? >"$0.new"; mv "$0.new" "$0.status"'
PAUSE = 0.01


def begin(argv: Sequence[str | Path], folder: Path, *, pass_fds: Sequence[int] = ()) -> None:
    """Make the folder, and begin a program that fills it. It keeps these descriptors."""
    folder.mkdir()
    command = [str(word) for word in argv]
    journal.log(f"+ {shlex.join(command)} &")
    child = subprocess.Popen(
        ["sh", "-c", SCRIPT, folder, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        start_new_session=True,
        pass_fds=tuple(pass_fds),
        umask=UMASK,
    )
    process = Process.of(child.pid)
    _beside(folder, "begun").write_text(json.dumps([process.pid, process.start]), encoding="utf-8")


def begun(folder: Path) -> bool:
    """Whether one was begun, and not waited for yet."""
    return _beside(folder, "begun").exists()


def wait(folder: Path) -> None:
    """Wait until it has ended. Raises DebfleetError with its own words where it failed, or was ended."""
    process = Process(*json.loads(_beside(folder, "begun").read_text(encoding="utf-8")))
    status, start = _beside(folder, "status"), time.monotonic()
    while not status.exists() and process.alive():
        time.sleep(PAUSE)
    code = status.read_text(encoding="utf-8").strip() if status.exists() else "nothing"
    said = _beside(folder, "said").read_text(encoding="utf-8", errors="replace").strip()
    journal.log(f"= exit {code} of what fills {folder.name}, waited for {time.monotonic() - start:.2f} s")
    for name in ("begun", "said", "status"):
        _beside(folder, name).unlink(missing_ok=True)
    if code != "0":
        raise DebfleetError("the kept tree could not be unpacked", where=str(folder), why=said or f"exit {code}")


def _beside(folder: Path, name: str) -> Path:
    return folder.with_name(f"{folder.name}.{name}")
