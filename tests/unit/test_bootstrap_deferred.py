# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are run beside dpkg: begun at once, one after the other, waited for at the end, failures told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from debfleet.common.bootstrap import deferred
from debfleet.common.errors import DebfleetError


class Machine:
    """The scripts, with a path of their own in which the real programs are."""

    def __init__(self, folder: Path) -> None:
        self.later = deferred.lay_out(folder / "later")
        self.real = folder / "real"
        self.real.mkdir()
        for script in (self.later / "bin").iterdir():
            text = script.read_text().replace(deferred.INSIDE, str(self.later))
            text = text.replace("/etc/ca-certificates/update.d", str(folder / "hooks"))
            text = text.replace("/usr/bin/curl /usr/bin/wget", f"{folder}/curl {folder}/wget")
            script.write_text(text.replace(f"PATH={deferred.PATH}", f"PATH={self.real}:{deferred.PATH}"))

    def program(self, name: str, text: str) -> None:
        (self.real / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.real / name).chmod(0o755)

    def install(self, script: str) -> int:
        """Run a maintainer script's commands as an installation would."""
        path = f"{self.later}/bin:/usr/bin:/bin"
        return subprocess.run(
            deferred.waiting(self.later, ["sh", "-c", script]), env={"PATH": path}, check=False
        ).returncode  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_script_goes_on_while_the_program_runs_and_the_installation_waits(machine: Machine, tmp_path: Path) -> None:
    machine.program("depmod", f"while ! [ -e {tmp_path}/go ]; do sleep 0.01; done; echo depmod $* >> {tmp_path}/order")
    script = f"depmod 6.1 || exit 1; echo script >> {tmp_path}/order; touch {tmp_path}/go"
    assert machine.install(script) == 0
    assert (tmp_path / "order").read_text() == "script\ndepmod 6.1\n"


def test_calls_of_one_program_run_one_at_a_time(machine: Machine, tmp_path: Path) -> None:
    machine.program("localedef", f"echo begin >> {tmp_path}/order; sleep 0.2; echo end >> {tmp_path}/order")
    assert machine.install("localedef a; localedef b") == 0
    assert (tmp_path / "order").read_text() == "begin\nend\n" * 2


@pytest.mark.parametrize("needed", ["", "hooks/java", "curl", "wget"])
def test_certificates_are_made_at_once_where_they_may_be_needed(machine: Machine, tmp_path: Path, needed: str) -> None:
    machine.program("update-ca-certificates", f"sleep 0.2; echo certificates >> {tmp_path}/order")
    (tmp_path / "hooks").mkdir()
    if needed:
        (tmp_path / needed).touch()
    assert machine.install(f"update-ca-certificates; echo script >> {tmp_path}/order") == 0
    order = (tmp_path / "order").read_text().split()
    assert order == (["certificates", "script"] if needed else ["script", "certificates"])


def test_byte_code_is_compiled_on_every_processor_and_all_else_on_one(machine: Machine) -> None:
    slots = {name: (machine.later / "bin" / name).read_text() for name in deferred.PROGRAMS}
    assert f"$(($$ % {os.cpu_count() or 1}))" in slots["py3compile"]
    assert all("$(($$ % 1))" in slots[name] for name in ("localedef", "depmod"))


def test_a_program_that_fails_fails_the_installation_in_its_own_words(machine: Machine) -> None:
    machine.program("py3compile", "echo bad byte; exit 3")
    assert machine.install("py3compile -p foo") == 0
    with pytest.raises(DebfleetError, match="py3compile -p foo: exit 3") as told:
        deferred.look(machine.later)
    assert "bad byte" in told.value.why


def test_a_program_that_is_not_there_is_no_error_and_nothing_is_left_for_the_next(machine: Machine) -> None:
    machine.program("depmod", "exit 1")
    assert machine.install("depmod; py3compile -p foo") == 0
    deferred.lay_out(machine.later)
    deferred.look(machine.later)


def test_a_failed_installation_stays_failed(machine: Machine) -> None:
    assert machine.install("exit 7") == 7


def test_no_host_keys_are_made_and_other_keys_are(machine: Machine, tmp_path: Path) -> None:
    machine.program("ssh-keygen", f"echo $* >> {tmp_path}/keys")
    assert machine.install("ssh-keygen -q -f /etc/ssh/ssh_host_rsa_key -N ''; ssh-keygen -q -f /home/me/key") == 0
    assert (tmp_path / "keys").read_text() == "-q -f /home/me/key\n"
