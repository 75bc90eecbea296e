# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor says of a machine: every lack with the command that mends it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from debfleet import cli
from debfleet.cli import doctor
from debfleet.common.bootstrap.mirror import Builder, Entry
from debfleet.common.doctor import finding, machine, machines, mirrors, packages
from debfleet.common.doctor.finding import MISSING, OK, WARN, Finding
from debfleet.common.errors import MissingError
from debfleet.common.libvirt.acceleration import Acceleration
from debfleet.common.run import CommandError, Done
from debfleet.controller import environment

TABLE = """\
# a comment | with a bar
first            | does the first thing
second?          | where the archive has it
third python     | for the system's Python
fourth develop   | to work on debfleet
fifth? develop   | that, too
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table"
    path.write_text(TABLE)
    return path


def told(found: Sequence[Finding]) -> dict[str, str]:
    return {one.name: one.state for one in found}


# ---- packages ----


def test_the_table_is_read_as_set_up_reads_it(repo: Path) -> None:
    rows = packages.read(repo / "scripts/debian-packages")
    listed = subprocess.run([repo / "scripts/setup", "--list"], capture_output=True, text=True, check=True).stdout
    assert [f"{row.name:<28} {row.purpose}" for row in rows] == listed.splitlines()
    assert {row.when for row in rows} == {"", "python", "develop"}
    assert any(row.optional for row in rows)


def test_missing_packages(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "installed", lambda: {"elsewhere"})
    monkeypatch.setattr(packages, "in_archive", lambda names: {"second"} & set(names))
    found = list(packages.look(table, system_python=True))
    assert told(found) == {"first": MISSING, "second": MISSING, "third": WARN, "fourth": WARN}
    assert found[0].purpose == "does the first thing"
    assert found[0].fix == "apt-get install --no-install-recommends first"
    assert packages.together(found) == "apt-get install --no-install-recommends first second"
    assert packages.together(found[:1]) == ""


def test_packages_that_are_there_or_not_to_be_had(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "installed", lambda: {"first", "fourth"})
    monkeypatch.setattr(packages, "in_archive", lambda names: set())
    assert told(list(packages.look(table, system_python=False))) == {"first": OK, "fourth": OK}


def test_no_debian(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> Done:
        raise MissingError("dpkg-query is not installed")

    monkeypatch.setattr(packages, "run", none)
    assert told(list(packages.look(table, system_python=False))) == {"dpkg": MISSING}


def test_no_table(tmp_path: Path) -> None:
    assert told(list(packages.look(tmp_path / "none", system_python=False))) == {"the table": WARN}


# ---- the machine ----


def failing(*_: Any, **__: Any) -> Done:
    raise CommandError(["tool"], 1, "Operation not permitted")


def test_root_that_may_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine, "run", failing)
    found = {one.name: one for one in machine.rights()}
    assert found["namespaces"].state == found["loop devices"].state == MISSING
    assert found["namespaces"].seen == "Operation not permitted"
    assert "--privileged" in found["namespaces"].fix
    assert found["loop devices"].fix.startswith("modprobe loop")


def test_a_user_who_is_not_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine.os, "geteuid", lambda: 65534)
    monkeypatch.setattr(machine, "run", failing)
    found = {one.name: one for one in machine.rights()}
    assert found["root"].state == WARN
    assert found["namespaces"].state == MISSING
    user = found["root"].seen.split()[0]
    assert found["subuid"].fix == f"sudo usermod --add-subuids 100000-165535 {user}"
    assert found["subgid"].fix == f"sudo usermod --add-subgids 100000-165535 {user}"


@pytest.mark.parametrize(("free", "state"), [(1 << 30, MISSING), (5 << 30, WARN), (50 << 30, OK)])
def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    usage = type("usage", (), {"free": free})
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage)
    found = machine.disk(tmp_path / "not" / "there", "images")
    assert found.state == state
    assert bool(found.fix) == (state != OK)


def test_a_folder_that_can_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    found = machine.disk(tmp_path / "x", "images")
    assert (found.state, found.fix.startswith("sudo install -d")) == (MISSING, True)


@pytest.mark.parametrize(("free", "state"), [(1 << 20, WARN), (8 << 30, OK)])
def test_memory(monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    monkeypatch.setattr(machine, "memory_free", lambda: free)
    assert next(iter(machine.room())).state == state


# ---- mirrors ----


def test_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = Path("InRelease"), "http://user:secret@mirror.example.org/debian"
    asked: list[str] = []

    def helper(argv: Sequence[Any], **_: Any) -> Done:
        asked.append(argv[-2])
        good = "good" in argv[-2]
        if good:
            Path(argv[-1]).write_text("Suite: x")
        return Done([], 0 if good else 100, "", "" if good else f"E: Failed to fetch {argv[-2]}\n", 0.0)

    monkeypatch.setattr(mirrors, "run", helper)
    monkeypatch.setattr(
        mirrors,
        "read_builder",
        lambda: Builder(
            (Entry(there, "good", "Debian", ""), Entry(there, "bad", "Debian", ""), Entry(there, "bad2", "X", ""))
        ),
    )
    good, bad, other = mirrors.look()
    assert (good.state, bad.state, other.state) == (OK, MISSING, WARN)
    assert f"{there}/dists/good/{here}" in asked
    assert bad.seen.startswith("E: Failed to fetch")
    assert "secret" not in repr((good, bad, other))


def test_no_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "read_builder", Builder)
    (found,) = mirrors.look()
    assert (found.state, found.fix) == (WARN, "apt-get update")


# ---- machines ----


@pytest.mark.parametrize(
    ("reason", "flags", "fix"),
    [
        ("there is no /dev/kvm", "vmx fpu", "modprobe kvm_intel"),
        ("there is no /dev/kvm", "svm fpu", "modprobe kvm_amd"),
        ("there is no /dev/kvm", "fpu", "turn on virtualisation"),
        ("there is no /dev/kvm", "fpu hypervisor", "on the host of this virtual machine: modprobe -r kvm_intel"),
        ("no permission to open /dev/kvm; being in …", "vmx", "sudo usermod -aG kvm"),
        ("a kernel starts on KVM and hangs: not through after 10 s", "vmx hypervisor", "on the host of this virtual"),
        ("/dev/kvm opens, but there is no kernel at hand to try it with", "vmx", "build an image"),
    ],
)
def test_kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, flags: str, fix: str) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr(machines, "CPU", tmp_path / "cpuinfo")
    monkeypatch.setattr(machines, "find", lambda program, package: program)
    monkeypatch.setattr(machines.acceleration, "known", lambda row: Acceleration("tcg", reason))
    found = machines.kvm(machines.TABLE["amd64"], tmp_path)
    assert (found.state, found.seen) == (WARN, reason)
    assert found.fix.startswith(fix)


def test_kvm_that_works_and_no_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = machines.TABLE["amd64"]
    monkeypatch.setattr(machines, "find", lambda program, package: program)
    monkeypatch.setattr(machines.acceleration, "known", lambda row: None)
    monkeypatch.setattr(machines, "kernel", lambda builds, scratch: None)
    monkeypatch.setattr(
        machines.acceleration, "choose", lambda wanted, row, kernel: Acceleration("kvm", "came through")
    )
    assert machines.kvm(row, tmp_path).state == OK

    def none(program: str, package: str) -> str:
        raise MissingError("it is not installed", hint=f"apt-get install {package}")

    monkeypatch.setattr(machines, "find", none)
    assert machines.kvm(row, tmp_path).fix == "apt-get install qemu-system-x86"


def test_other_architectures(tmp_path: Path) -> None:
    assert machines.binfmt(tmp_path).fix.startswith("mount -t binfmt_misc binfmt_misc")
    (tmp_path / "register").touch()
    assert machines.binfmt(tmp_path).fix.startswith("apt-get install")
    (tmp_path / "qemu-arm").write_text("enabled\ninterpreter /usr/bin/qemu-arm\n")
    found = machines.binfmt(tmp_path)
    assert (found.state, found.seen) == (OK, "arm")
    (tmp_path / "qemu-s390x").write_text("disabled\n")
    assert machines.binfmt(tmp_path).fix == "update-binfmts --enable qemu-s390x"


# ---- Python and the report ----


def test_python_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(told(list(doctor.python())).values()) == {OK}
    monkeypatch.setattr(environment, "required", lambda: [("jsonschema", "999"), ("no-such-package", "1")])
    monkeypatch.setattr(environment, "PYTHON", (9, 9))
    found = list(doctor.python())
    assert [one.state for one in found] == [MISSING, MISSING, MISSING]
    assert found[0].fix.startswith("pyenv install")
    assert found[1].fix == "make setup"


def test_the_text() -> None:
    found = [
        Finding("A", "good", OK, "does it", "3.1"),
        Finding("A", "bad one", MISSING, "does that", "two\nlines", "mend it"),
        Finding("B", "soso", WARN, "helps", "", "look"),
    ]
    assert finding.to_text(found).splitlines() == [
        "A",
        "ok       good     does it: 3.1",
        "missing  bad one  does that",
        "                  why: two",
        "                       lines",
        "                  do:  mend it",
        "",
        "B",
        "warn     soso     helps",
        "                  do:  look",
        "",
        "1 missing, 1 warning",
    ]
    assert finding.to_text(found[:1], quiet=True) == "all well\n"
    assert finding.to_text(found[2:]).splitlines()[-1] == "nothing is missing, 1 warning"


@pytest.mark.parametrize(("state", "code"), [(OK, 0), (WARN, 0), (MISSING, 3)])
def test_at_the_prompt(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: str, code: int
) -> None:
    found = [Finding("A", "thing", state, "does it", "why", "" if state == OK else "mend it")]
    monkeypatch.setattr(doctor, "look", lambda offline: iter(found))
    assert cli.main(["doctor"]) == code
    assert "thing" in capsys.readouterr().out
    assert cli.main(["doctor", "--json", "--offline"]) == code
    jsonschema.validate(json.loads(capsys.readouterr().out), json.loads((repo / "schemas/doctor.json").read_text()))


@pytest.mark.root
def test_this_machine_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests need is there; nothing is started for it, and no mirror asked."""
    monkeypatch.setattr(machines, "look", lambda builds: iter(()))
    found = list(doctor.look(offline=True))
    assert [one for one in found if one.state == MISSING] == []
    assert {"python", "mmdebstrap", "namespaces", "loop devices", "/dev/shm"} <= set(told(found))
