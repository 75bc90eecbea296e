# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnosis of a boot: how far it came, where it stopped, the lines that show it, and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .signs import ADVICE, LOGIN, REACHED, SIGNS, STAGES, Sign

LINES = 12  # lines of the log that a diagnosis shows at most
ESCAPES = re.compile(
    r"\x1b\[[0-9;?=!]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1bc|\x1b[()][A-Z0-9]|[\x00\x07\x08\r]"
)
FAILED_UNIT = r"\[FAILED\]|\[DEPEND\]|Failed to start|Timed out waiting for"
SSHD = r"ssh\.(?:service|socket)|sshd|OpenBSD Secure Shell|OpenSSH"
OVER = ("gone", "shut off", "crashed")


@dataclass(frozen=True)
class Observed:
    """What is seen of a boot from outside.

    :param serial: all that the serial port said; `firmware` all that the firmware said on its own port.
    :param state: the domain's state in libvirt's words, or `gone`.
    :param ssh: what answers at the SSH port: silent, closed, banner, denied, in; empty when it wasn't tried.
    :param access: how we want to log in: cloud-init, ssh or console.
    """

    serial: str
    firmware: str = ""
    state: str = "running"
    ssh: str = ""
    access: str = "cloud-init"

    @property
    def text(self) -> str:
        """Both texts without escapes and carriage returns."""
        return clean(self.firmware + "\n" + self.serial)


@dataclass(frozen=True)
class Diagnosis:
    """Where a boot stopped and why, what to do, and the lines that show it."""

    stage: str
    why: str
    advice: str
    lines: list[str] = field(default_factory=list)


def clean(text: str) -> str:
    """The text of a console without escapes and carriage returns."""
    return ESCAPES.sub("", text)


def reached(observed: Observed) -> list[str]:
    """The stages that this boot has reached, in order."""
    return _reached(observed.text)


def _reached(text: str) -> list[str]:
    return [stage for stage in STAGES if re.search(REACHED[stage], text, re.M)]


def shown(text: str, pattern: str) -> list[str]:
    """The lines around the first one that has the pattern, or the last lines of all."""
    lines = _lines(text)
    for number, line in enumerate(lines):
        if re.search(pattern, line):
            return lines[max(0, number - LINES // 2) : number + LINES // 2]
    return lines[-LINES:]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def about(text: str, pattern: str) -> list[str]:
    """The last of the lines that have the pattern, and what the console said last of all."""
    lines = [line for line in _lines(text) if not re.search(r"(?i)kernel command line|\] Command line: ", line)]
    last = lines[-LINES // 3 :]
    return [line for line in lines[: len(lines) - len(last)] if re.search(pattern, line)][len(last) - LINES :] + last


def _sign(text: str, signs: Iterable[Sign]) -> Diagnosis | None:
    stages = _reached(text)
    for sign in signs:
        if sign.unless not in stages and re.search(sign.pattern, text, re.M):
            return Diagnosis(sign.stage, sign.why, sign.advice, shown(text, sign.pattern))
    return None


def ended(observed: Observed) -> Diagnosis | None:
    """Where the boot has ended for good, so that nothing more is to be expected; None while it goes on."""
    text = observed.text
    if found := _sign(text, (sign for sign in SIGNS if sign.final)):
        return found
    if observed.state in OVER:
        stage = (_reached(text) or ["firmware"])[-1]
        return Diagnosis(stage, f"the machine is {observed.state}", ADVICE[stage], shown(text, r"$^"))
    return None


def diagnose(observed: Observed) -> Diagnosis:
    """Where a boot stopped that did not get through in its time."""
    text = observed.text
    if found := ended(observed) or _sign(text, SIGNS):
        return found
    booted = re.search(LOGIN, text, re.M) or observed.ssh in ("banner", "denied", "in")
    stage, why, pattern = _login(observed) if booted else _unfinished(_reached(text))
    return Diagnosis(stage, why, ADVICE[stage], about(text, pattern))


def _login(observed: Observed) -> tuple[str, str, str]:
    """What keeps us from logging in to a guest that has booted: stage, reason, pattern of the lines that show it."""
    if observed.access == "console":
        return "init", "the login at the serial console did not work", FAILED_UNIT
    if observed.ssh == "silent":
        return "network", "the guest has booted and does not answer on the network", r"(?i)network|ci-info: .*False"
    if observed.ssh in ("closed", ""):
        return "ssh", "the guest answers on the network, and no SSH server listens", SSHD
    if observed.ssh == "in":
        return "ssh", "the login works, and the guest's report did not come whole", FAILED_UNIT
    if observed.access == "cloud-init":
        why = "the SSH server runs, and cloud-init has not made the user that it was told to make"
        return "cloud-init", why, r"DataSourceNone|[Cc]loud-init"
    return "ssh", "the SSH server refuses the key", SSHD


def _unfinished(stages: list[str]) -> tuple[str, str, str]:
    """Where a boot hangs that says nothing of its end: in what came last, or in what should have come next."""
    if not stages:
        return "firmware", "nothing was heard of the machine", FAILED_UNIT
    if stages[-1] == "bootloader":
        return "kernel", "the bootloader is through, and nothing was heard of the kernel", FAILED_UNIT
    return stages[-1], f"time is up, and nothing came after the stage {stages[-1]}", FAILED_UNIT
