# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains brought to a state: the plan, what must be there first, and the module around it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libvirt_domain
import pytest
from ansible.module_utils.testing import patch_module_args

from debfleet.common.architectures import TABLE, Architecture
from debfleet.common.errors import DebfleetError, MissingError
from debfleet.common.libvirt import acceleration, preflight, request
from debfleet.common.libvirt.defined import STATES, Current, plan
from debfleet.common.libvirt.machine import Forward
from debfleet.common.libvirt.managed import Wish
from debfleet.common.run import Done

ROWS = pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
NOTHING, OFF, ON = Current(), Current("<x/>", "1", persistent=True), Current("<x/>", "1", active=True, persistent=True)
PLANS: list[tuple[Current, str, bool, list[str]]] = [
    (NOTHING, "running", True, ["define", "start"]),
    (NOTHING, "defined", True, ["define"]),
    (NOTHING, "stopped", True, ["define"]),
    (NOTHING, "absent", False, []),
    (OFF, "running", False, ["start"]),
    (OFF, "running", True, ["define", "start"]),
    (OFF, "stopped", False, []),
    (OFF, "absent", False, ["undefine"]),
    (ON, "running", False, []),
    (ON, "running", True, ["define"]),
    (ON, "defined", False, []),
    (ON, "stopped", False, ["shut down"]),
    (ON, "stopped", True, ["define", "shut down"]),
    (ON, "absent", False, ["destroy", "undefine"]),
    (Current("<x/>", "1", active=True), "absent", False, ["destroy"]),
    (Current("<x/>", "1", active=True), "defined", False, ["define"]),
]


@pytest.mark.parametrize(("current", "state", "differs", "actions"), PLANS)
def test_what_is_to_be_done(current: Current, state: str, differs: bool, actions: list[str]) -> None:
    assert plan(current, state, differs=differs) == actions


@ROWS
def test_kvm_is_tried_on_the_usual_machine(row: Architecture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "find", lambda program, _package: f"/usr/bin/{program}")
    words = acceleration.trial(row, Path("/k/vmlinuz"))
    assert words[0] == f"/usr/bin/{row.emulator}"
    assert words[words.index("-machine") + 1].startswith(f"{row.machine.name},accel=kvm")
    assert words[words.index("-append") + 1].startswith(f"console={row.machine.serial} ")
    assert int(words[words.index("-m") + 1]) >= (row.machine.memory or (0, 0))[0]


def test_kvm_runs_32_bit_guests_too() -> None:
    assert "x86_64" in TABLE["i386"].kvm_on and "x86_64" not in TABLE["arm64"].kvm_on


SHOWN = {
    "old": "Package: qemu-system-misc\n",
    "new": "Package: qemu-system-misc\n\nPackage: qemu-system-riscv\n",
    "none": "",
}


@pytest.mark.parametrize(("shown", "wanted"), [("old", "misc"), ("new", "riscv"), ("none", "misc")])
def test_a_missing_emulator_is_told_with_the_package_of_the_release(
    shown: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(program: str, _package: str = "") -> str:
        raise MissingError(f"{program} is not installed")

    monkeypatch.setattr(preflight, "find", lacking)
    monkeypatch.setattr(preflight, "run", lambda argv, **_: Done(argv, 0, SHOWN[shown], "", 0.0))
    row = TABLE["riscv64"]
    with pytest.raises(MissingError, match="qemu-system-riscv64 is not installed") as caught:
        preflight.installed(row, row.machine, [])
    assert caught.value.hint.endswith(f"qemu-system-{wanted}")


def test_missing_firmware_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    row = TABLE["arm64"]
    monkeypatch.setattr(preflight, "find", lambda *_: "/usr/bin/true")
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    with pytest.raises(MissingError) as caught:
        preflight.installed(row, row.machine, ["uefi"])
    assert caught.value.hint.endswith("qemu-efi-aarch64") and caught.value.where.startswith("/usr/share/AAVMF")


def test_files_that_are_not_there_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(preflight, "installed", lambda *_: None)
    options = {"name": "web", "accelerator": "tcg", "image": tmp_path / "no.raw"}
    with pytest.raises(DebfleetError, match="disk is not there"):
        preflight.check(request.machine(options), starts=True)
    (tmp_path / "no.raw").touch()
    with pytest.raises(DebfleetError, match="kernel is not there"):
        preflight.check(request.machine({**options, "kernel": tmp_path / "k", "firmware": "direct"}), starts=True)


def test_a_port_in_use_is_told_and_a_free_one_is_chosen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(DebfleetError, match="is in use"):
            preflight.free(Forward(taken.getsockname()[1], 22))
        preflight.free(Forward(preflight.choose(Forward(0, 22)), 22))


def folder(path: Path, architecture: str, **system: Any) -> Path:
    """What is looked at of a build's folder."""
    manifest = {"name": "small", "system": {"architecture": architecture, "firmware": "uefi", **system}}
    for name, content in {
        "manifest.json": manifest,
        "metadata.json": {"file": "disk.qcow2", "sha256": "1" * 64},
    }.items():
        (path / name).write_text(json.dumps(content))
    (path / "disk.qcow2").touch()
    return path


def test_an_image_brings_its_architecture_format_and_firmware(tmp_path: Path) -> None:
    made = request.machine({"name": "web", "image": folder(tmp_path, "arm64"), "accelerator": "tcg"})
    assert (made.architecture.name, made.firmware, made.disks[0].format) == ("arm64", "uefi", "qcow2")
    by_file = request.machine({"name": "web", "image": tmp_path / "disk.qcow2", "accelerator": "tcg"})
    assert by_file == made


def test_an_image_runs_on_the_machine_that_its_kernel_drives(tmp_path: Path) -> None:
    folder(tmp_path, "armel", bootloader="none")
    (tmp_path / "vmlinuz").touch()
    (tmp_path / "bcm2835-rpi-b-plus.dtb").touch()
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    (tmp_path / "metadata.json").write_text(json.dumps({**metadata, "kernel": "6.1.0-50-rpi"}))
    made = request.machine({"name": "web", "image": tmp_path, "accelerator": "tcg"})
    assert made.type.name == "raspi1ap" and made.kernel and made.kernel.device_tree
    assert made.kernel.cmdline.endswith(f"console=ttyAMA0 {made.type.arguments}")
    assert request.machine({"name": "web", "image": tmp_path, "machine": "versatilepb"}).type.name == "versatilepb"
    assert TABLE["armel"].machine_for("6.1.0-50-marvell").name == TABLE["armel"].machine_for("").name == "versatilepb"


def test_an_image_of_another_architecture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DebfleetError, match="of another architecture than the domain: arm64, not armhf"):
        request.machine({"name": "web", "image": folder(tmp_path, "arm64"), "architecture": "arm"})


def test_an_image_without_bootloader_brings_its_kernel(tmp_path: Path) -> None:
    folder(tmp_path, "s390x", bootloader="none")
    with pytest.raises(DebfleetError, match="no kernel lies beside it"):
        request.machine({"name": "web", "image": tmp_path, "accelerator": "tcg"})
    (tmp_path / "vmlinuz").touch()
    made = request.machine({"name": "web", "image": tmp_path, "accelerator": "tcg"})
    assert made.firmware == "direct" and made.kernel and made.kernel.initrd is None
    assert made.kernel.cmdline.endswith("console=ttysclp0")


def test_an_image_that_the_machine_cannot_boot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DebfleetError, match="boots by bios"):
        request.machine({"name": "web", "image": folder(tmp_path, "arm64", firmware="bios"), "accelerator": "tcg"})


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    monkeypatch.setattr(libvirt_domain, "raise_on_signals", lambda: None)

    def module(**arguments: Any) -> dict[str, Any]:
        with patch_module_args(arguments), pytest.raises(SystemExit):
            libvirt_domain.main()
        said: dict[str, Any] = json.loads(capsys.readouterr().out)
        return said

    return module


def test_the_module_wants_a_name_and_a_state_that_there_is(run: Any) -> None:
    assert "name" in run()["msg"]
    assert "asleep" in run(name="web", state="asleep")["msg"]
    assert set(libvirt_domain.ACTION) == set(STATES)


@pytest.mark.parametrize("check", [True, False])
def test_the_module_hands_on_what_is_wanted(run: Any, monkeypatch: pytest.MonkeyPatch, check: bool) -> None:
    wishes: list[tuple[Wish, bool]] = []

    def ensured(wish: Wish, *, check: bool) -> dict[str, Any]:
        wishes.append((wish, check))
        return {"changed": True, "pending": False, "domain": {"name": wish.name}, "diff": {}}

    monkeypatch.setattr(libvirt_domain, "ensure", ensured)
    said = run(name="web", image="/i", memory=512, seed={"user_data": "x"}, forwards=[{"guest": 22}],
               _ansible_check_mode=check)  # fmt: skip
    assert said["changed"] and said["domain"] == {"name": "web"}
    wish, checked = wishes[0]
    assert (checked, wish.overlay, wish.seed) == (check, True, {"user_data": "x"})
    assert wish.options["memory"] == 512 and set(wish.options) <= request.OPTIONS
    assert wish.options["forwards"] == [{"guest": 22, "host": None, "address": "127.0.0.1", "protocol": "tcp"}]


def test_the_module_tells_what_failed(run: Any) -> None:
    said = run(name="a/b", uri="test:///default")
    assert said["failed"] and said["msg"].startswith("could not run the domain a/b")
