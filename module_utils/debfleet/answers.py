# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine answers the same throughout a build: asked once, then read from the build's folder.

Outside of a build, where there is no journal, every question is asked anew.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

from . import journal

FILE = "answers.json"
_WRITING = threading.Lock()


def once(question: str, ask: Callable[[], str]) -> str:
    """The answer to a question; `ask` is called when no step of this build has asked it before."""
    folder = journal.folder()
    if folder is None:
        return ask()
    path = folder / FILE
    if (answer := _known(path).get(question)) is None:
        answer = ask()
        with _WRITING:  # threads ask beside each other
            new = folder / f"{FILE}.{os.getpid()}"
            new.write_text(json.dumps({**_known(path), question: answer}), encoding="utf-8")
            new.replace(path)
    return answer


def _known(path: Path) -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return known
