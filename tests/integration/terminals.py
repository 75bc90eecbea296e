# SPDX-License-Identifier: GPL-3.0-or-later
"""A program with a terminal of its own, and somebody who types there."""

from __future__ import annotations

import os
import pty
import select
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE = 600  # seconds until a wait gives up


class Terminal:
    """A program on a new terminal; `said` is all it has written."""

    def __init__(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self.said = ""
        self._seen = 0
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            try:
                termios.tcsetwinsize(0, (50, 1000))  # no line is wrapped
                os.chdir(cwd)
                os.execvpe(argv[0], list(argv), {**env, "TERM": "linux"})
            finally:
                os._exit(127)

    def until(self, words: str) -> str:
        """Wait for words that were not waited for before; returns what was said up to their end."""
        end = time.monotonic() + PATIENCE
        while (at := self.said.find(words, self._seen)) < 0:
            assert time.monotonic() < end, f"waited in vain for {words!r} in:\n{self.said}"
            assert self._read(), f"ended without {words!r}:\n{self.said}"
        before, self._seen = self.said[self._seen : at + len(words)], at + len(words)
        return before

    def _read(self) -> bool:
        """Read what there is, for a second at most; False at the end."""
        if not self._ready():
            return True
        try:
            piece = os.read(self._fd, 65536)
        except OSError:  # the terminal's last user is gone
            return False
        self.said += piece.decode(errors="replace")
        return bool(piece)

    def _ready(self) -> bool:
        return bool(select.select([self._fd], [], [], 1)[0])

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._fd, text.encode())

    def end(self, keys: str = "") -> int:
        """Read to the end, pressing keys every second till then; returns the exit code."""
        end = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < end, f"it does not end:\n{self.said}"
            if keys and not self._ready():
                self.type(keys)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
