# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching a boot whose machine is played by the test."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from debfleet.common.libvirt import checks, watch
from debfleet.common.libvirt.ssh import Login
from debfleet.common.libvirt.watch import Access, BootError, Watch
from debfleet.common.run import Done

PROMPT = "Linux version 6.1\nWelcome to Debian!\n\nweb login: "
PACKED = base64.b64encode(b"@@ hostname\nweb\n@@ end\n").decode()
REPORT = f"{checks.PREFIX}{PACKED}\n{checks.PREFIX}.\n"


@dataclass
class Played:
    """A machine: what it says first, and what it says to each thing that is typed."""

    serial: Path
    script: dict[str, list[str]] = field(default_factory=dict)
    typed: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        with open(self.serial, "a") as file:
            file.write(text)

    def state(self) -> str:
        return "running"

    def port(self) -> int:
        return 1

    def drain(self) -> None: ...

    def type(self, text: str) -> None:
        self.typed.append(text)
        self.say(text + self.script[text].pop(0))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Played, Watch]]:
    for name, seconds in {"PAUSE": 0.001, "NUDGE": 0.05, "EVERY": 0.0}.items():
        monkeypatch.setattr(watch, name, seconds)

    def make(access: Access, said: str = PROMPT, limit: float = 30.0, quiet: float = 30.0) -> tuple[Played, Watch]:
        played: Any = Played(tmp_path / "serial.log")
        played.say(said)
        return played, Watch(played, played.serial, tmp_path / "none", access, "bios", "true", limit, quiet)

    return make


CONSOLE = Access("console", password="secret")
COMMAND = "sh /run/debfleet-collect\n"


def test_the_console_is_logged_in_to_and_asked(machine: Any) -> None:
    played, watched = machine(CONSOLE)
    played.script = {"root\n": ["Password: "], "secret\n": ["\n# "], COMMAND: [REPORT]}
    assert watched.report()["hostname"] == "web"
    assert played.typed == ["root\n", "secret\n", COMMAND]
    assert list(watched.reached) == ["kernel", "init", "ssh"]


def test_a_login_that_timed_out_is_begun_again(machine: Any) -> None:
    played, watched = machine(CONSOLE)
    again = "\nLogin timed out after 60 seconds.\n\nweb login: "
    played.script = {"root\n": [again, "Password: "], "secret\n": ["\n# "], COMMAND: [REPORT]}
    assert watched.report()["hostname"] == "web"


def test_a_prompt_behind_a_message_is_asked_to_show_itself(machine: Any) -> None:
    played, watched = machine(CONSOLE, PROMPT + "[   60.1] random: crng init done\n")
    played.script = {"\n": ["\nweb login: "], "root\n": ["Password: "], "secret\n": ["\n# "], COMMAND: [REPORT]}
    assert watched.report()["hostname"] == "web"
    assert played.typed[0] == "\n"


def test_a_panic_is_told_at_once(machine: Any) -> None:
    _, watched = machine(CONSOLE, "Linux version 6.1\nKernel panic - not syncing: no reason\n")
    with pytest.raises(BootError) as caught:
        watched.report()
    assert caught.value.diagnosis.stage == "kernel"
    assert "kernel" in str(caught.value) and "no reason" in caught.value.why


def ssh(monkeypatch: pytest.MonkeyPatch, port: str, outcomes: list[tuple[int, str]]) -> list[Login]:
    """Play the SSH port: what is there, and what each login gives (exit status and output)."""
    logins: list[Login] = []

    def there(login: Login, argv: list[str], **_: Any) -> Done:
        logins.append(login)
        code, said = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        return Done(argv, code, said, "", 0.0)

    monkeypatch.setattr(watch, "run_there", there)
    monkeypatch.setattr(watch, "listening", lambda _port: port)
    return logins


def test_ssh_is_tried_until_the_user_is_there(machine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, watched = machine(Access("cloud-init", "me", tmp_path / "key"))
    logins = ssh(monkeypatch, "banner", [(255, ""), (255, ""), (0, REPORT)])
    assert watched.report()["hostname"] == "web"
    assert logins == [Login("me", tmp_path / "key", 1)] * 3


@pytest.mark.parametrize(("port", "stage"), [("silent", "network"), ("closed", "ssh"), ("banner", "cloud-init")])
def test_a_login_without_news_is_given_up(
    machine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, port: str, stage: str
) -> None:
    _, watched = machine(Access("cloud-init", "me", tmp_path / "key"), quiet=0.1)
    ssh(monkeypatch, port, [(255, "")])
    with pytest.raises(BootError) as caught:
        watched.report()
    assert caught.value.diagnosis.stage == stage


def test_a_boot_that_makes_progress_gets_three_times_its_time(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    played, watched = machine(CONSOLE, "Linux version 6.1\n", limit=0.1, quiet=0.05)
    monkeypatch.setattr(watched, "_look", lambda look=watched._look: (played.say("[ 1.0] a line\n"), look())[1])
    with pytest.raises(BootError) as caught:
        watched.report()
    assert 0.3 <= caught.value.seconds < 5
