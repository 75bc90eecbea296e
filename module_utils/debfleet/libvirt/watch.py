# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching a domain boot, logging in, and fetching the report from inside; or knowing where it stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import journal
from ..errors import DebfleetError
from . import checks, seed, stages
from .domain import Domain
from .signs import LOGIN
from .ssh import CONNECTION_FAILED, Login, listening, run_there
from .stages import Diagnosis, Observed

PAUSE = 0.5  # seconds between two looks
LENIENCE = 3  # times the limit that a boot may take while it makes progress
QUIET = 120.0  # seconds without anything new before the kernel or after the login prompt, then it is given up
AS_ROOT = "'sudo -n true 2>/dev/null && exec sudo -n sh -s || exec sh -s'"
NUDGE = 20.0  # seconds without news at a login prompt, until it is asked to show itself again
REPORT = 900  # seconds that the report may take: it waits for the last services
# Seconds between two looks at the SSH port. A look costs 1 s of OpenSSH's patience with us (PerSourcePenalties, 9.8 and
# later), a refused login 5 s; it refuses all connections once 15 s have gathered.
EVERY = 8.0


class BootError(DebfleetError):
    """A boot did not get through; `diagnosis` says where and why."""

    def __init__(self, firmware: str, diagnosis: Diagnosis, seconds: float) -> None:
        self.diagnosis, self.seconds, self.firmware = diagnosis, seconds, firmware
        super().__init__(
            f"the boot by {firmware} stopped in the stage {diagnosis.stage}: {diagnosis.why}",
            where=f"stage {diagnosis.stage}, after {seconds:.0f} s",
            why="\n".join(diagnosis.lines),
            hint=diagnosis.advice,
        )


@dataclass(frozen=True)
class Access:
    """How to get in: cloud-init or ssh (both by `user` and `key`), or console (root's `password`)."""

    kind: str
    user: str = "root"
    key: Path | None = None
    password: str = ""


@dataclass
class Watch:
    """The watching of one boot.

    `limit` and `quiet` are in seconds, `reached` says when each stage was reached.
    """

    domain: Domain
    serial: Path
    debug: Path
    access: Access
    firmware: str
    script: str
    limit: float
    quiet: float = QUIET
    reached: dict[str, float] = field(default_factory=dict)
    ssh: str = ""
    _began: float = field(default_factory=time.monotonic)
    _last: Observed | None = None
    _news: float = 0.0

    def seconds(self) -> float:
        """Seconds since the domain was started."""
        return time.monotonic() - self._began

    def observed(self) -> Observed:
        """What is seen now."""
        self.domain.drain()
        return Observed(_text(self.serial), _text(self.debug), self.domain.state(), self.ssh, self.access.kind)

    def report(self) -> Mapping[str, str]:
        """Wait for the login, and return the report's sections. Raises BootError when the boot doesn't get there."""
        return self._by_console() if self.access.kind == "console" else self._by_ssh()

    def torn(self) -> Diagnosis:
        """What to say when the guest let us in and its report can't be read."""
        return Diagnosis("ssh", "the guest's report can't be read", "look at serial.log", [])

    def _look(self) -> Observed:
        """Look once: tell the stages that are new, and give up when the boot has ended."""
        observed = self.observed()
        if self._last and observed == self._last:
            return self._last  # looking costs the guest's processor too
        self._last, self._news = observed, self.seconds()
        for stage in stages.reached(observed):
            if stage not in self.reached:
                self.reached[stage] = round(self.seconds(), 1)
                journal.tell(f"boot by {self.firmware}: {stage} after {self.seconds():.0f} s")
                journal.log(f"boot by {self.firmware}: {stage} after {self.seconds():.1f} s")
        if diagnosis := stages.ended(observed):
            time.sleep(PAUSE)  # the lines that explain it may still be on their way
            diagnosis = stages.ended(self.observed()) or diagnosis
            raise BootError(self.firmware, diagnosis, self.seconds())
        return observed

    def _give_up(self) -> BootError:
        return BootError(self.firmware, stages.diagnose(self.observed()), self.seconds())

    def _late(self) -> bool:
        """Whether time is up: a boot that still makes progress, on a busy machine, gets more of it."""
        quiet = self.seconds() - self._news > self.quiet
        return self.seconds() > self.limit and (quiet or self.seconds() > self.limit * LENIENCE)

    def _by_ssh(self) -> Mapping[str, str]:
        assert self.access.key is not None
        login = Login(self.access.user, self.access.key, self.domain.port())
        looked = 0.0
        while True:
            observed = self._look()
            booted = re.search(LOGIN, observed.text, re.M)
            if self.seconds() - looked > EVERY:
                if told := self._log_in(login):
                    return told
                looked = self.seconds()
            settled = booted or self.ssh == "denied" or "kernel" not in self.reached
            if self._late() or (settled and self.seconds() - self._news > self.quiet):
                raise self._give_up()
            time.sleep(PAUSE)

    def _log_in(self, login: Login) -> Mapping[str, str]:
        """Look at the SSH port, and log in when a server is there; empty when it doesn't let us in (yet)."""
        self.ssh = listening(login.port)
        if self.ssh != "banner":
            return {}
        done = run_there(login, ["sh", "-c", AS_ROOT], stdin=self.script, limit=REPORT)
        told = checks.read_report(done.stdout)
        self.ssh = "in" if told or done.returncode != CONNECTION_FAILED else "denied"
        if told:
            self.reached.setdefault("ssh", round(self.seconds(), 1))
        return told

    def _by_console(self) -> Mapping[str, str]:
        command = f"sh {seed.SCRIPT_FILE}\n"
        answers = {r"^\S+ login: $": "root\n", r"^Password: ?$": self.access.password + "\n", r"# $": command}
        answered, asked_at = "", 0.0
        while not checks.complete(text := stages.clean(self._look().serial)):
            answer = next((answers[prompt] for prompt in answers if re.search(prompt, text[-200:], re.M)), "")
            if not answer and not asked_at and re.search(LOGIN, text, re.M) and self.seconds() - self._news > NUDGE:
                answer, self._news = "\n", self.seconds()  # a message of the kernel stands behind the prompt
            if answer and text != answered:
                self.domain.type(answer)
                answered = text
                asked_at = self.seconds() if answer == command else asked_at
            if self.seconds() > asked_at + REPORT if asked_at else self._late():
                raise self._give_up()
            time.sleep(PAUSE)
        return checks.read_report(text)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
