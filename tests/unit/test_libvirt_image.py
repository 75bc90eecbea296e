# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading an image's folder, and the module image_proof around it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import image_proof
import jsonschema
import pytest
from ansible.module_utils.testing import patch_module_args

from debfleet.common import reaper
from debfleet.common.errors import DebfleetError, FindingsError
from debfleet.common.libvirt import attempt, direct, proof
from debfleet.common.libvirt.acceleration import Acceleration
from debfleet.common.libvirt.checks import Check
from debfleet.common.libvirt.image import ImageFolder
from debfleet.common.libvirt.stages import Diagnosis
from debfleet.common.run import Done

BYTES = b"not really a disk"
ROOT = {"mount": "/", "filesystem": "ext4", "start": 2 << 20, "size": 1 << 30, "uuid": "11-22"}
SWAP = {"mount": None, "filesystem": "swap", "start": 1 << 20, "size": 1 << 20, "uuid": "33"}
SYSTEM = {
    "release": "trixie",
    "architecture": "amd64",
    "firmware": "both",
    "bootloader": "grub",
    "hostname": "web.example",
}


def write(folder: Path, packages: list[str], **system: Any) -> Path:
    """An image's folder, as far as the proof looks at it."""
    (folder / "disk.raw").write_bytes(BYTES)
    texts = {
        "manifest.json": {"name": "small", "system": {**SYSTEM, **system}, "plugins": {}},
        "metadata.json": {
            "file": "disk.raw",
            "sha256": hashlib.sha256(BYTES).hexdigest(),
            "layout": {"partitions": [ROOT, SWAP]},
        },
        "packages.json": {"packages": [{"name": name} for name in packages]},
    }
    for name, content in texts.items():
        (folder / name).write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("packages", "access", "grows"),
    [
        (["openssh-server", "cloud-init", "cloud-guest-utils"], "cloud-init", True),
        (["openssh-server:amd64", "cloud-init"], "cloud-init", False),
        (["openssh-server", "cloud-guest-utils"], "ssh", False),
        (["cloud-init"], "console", False),
        ([], "console", False),
    ],
)
def test_the_way_in_follows_from_what_is_installed(
    tmp_path: Path, packages: list[str], access: str, grows: bool
) -> None:
    image = ImageFolder.read(write(tmp_path, packages))
    assert (image.access(), image.grows()) == (access, grows)


def test_what_is_expected_comes_from_the_manifest_and_the_layout(tmp_path: Path) -> None:
    image = ImageFolder.read(write(tmp_path, []))
    want = image.expected()
    assert (want.release, want.architecture, want.hostname, want.serial) == ("trixie", "amd64", "web", "ttyS0")
    assert (want.swap, want.mounts, want.root) == (True, {"/": "ext4"}, 1 << 30)
    assert image.firmware() == ["bios", "uefi"]
    assert direct.cmdline(image.architecture.machine, image.root_uuid()).startswith("root=UUID=11-22 ro ")


def test_a_file_that_is_not_the_one_built_is_refused(tmp_path: Path) -> None:
    image = ImageFolder.read(write(tmp_path, []))
    assert image.digest() == hashlib.sha256(BYTES).hexdigest()
    (tmp_path / "disk.raw").write_bytes(BYTES + b"!")
    with pytest.raises(FindingsError):
        image.digest()


@pytest.mark.parametrize("broken", ["missing", "no json", "no image"])
def test_a_folder_without_an_image_is_refused(tmp_path: Path, broken: str) -> None:
    write(tmp_path, [])
    if broken == "missing":
        (tmp_path / "manifest.json").unlink()
    elif broken == "no json":
        (tmp_path / "manifest.json").write_text("{")
    else:
        (tmp_path / "disk.raw").unlink()
    with pytest.raises(DebfleetError) as caught:
        ImageFolder.read(tmp_path).file()
    assert str(tmp_path) in caught.value.where


def test_an_image_without_bootloader_is_booted_by_the_kernel_beside_it(tmp_path: Path) -> None:
    image = ImageFolder.read(write(tmp_path, [], bootloader="none"))
    assert image.firmware() == ["direct"]
    with pytest.raises(DebfleetError):
        direct.beside(image)
    (tmp_path / "vmlinuz").touch()
    kernel = direct.beside(image)
    assert kernel is not None and kernel.initrd is None and "UUID=11-22" in kernel.cmdline


def booted(ok: bool) -> attempt.Boot:
    checks = [Check("token from inside", True, "0" * 64), Check("swap", ok, "none")]
    return attempt.Boot("bios", Acceleration("tcg", "why"), "ssh", "0" * 64, 9.0, {"kernel": 1.0}, checks)


@pytest.mark.parametrize(
    ("architecture", "kernel", "size"), [("amd64", "", 3 << 30), ("armel", "6.1.0-50-rpi", 4 << 30)]
)
def test_a_growing_image_gets_a_larger_overlay_and_a_memory_card_a_power_of_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, kernel: str, size: int
) -> None:
    image = ImageFolder.read(write(tmp_path, ["cloud-init", "cloud-guest-utils"], architecture=architecture))
    image = dataclasses.replace(image, metadata={**image.metadata, "kernel": kernel})
    ran: list[list[str]] = []

    def run(argv: list[str]) -> Done:
        ran.append([str(word) for word in argv])
        return Done(argv, 0, json.dumps({"virtual-size": 2 << 30}), "", 0.0)

    monkeypatch.setattr(attempt, "run", run)
    boot = attempt.Attempt(image, attempt.Options(), Acceleration("tcg", "why"), tmp_path, "bios", None)
    boot._overlay()
    assert ran[-1][-1] == str(size)


class Connection:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No libvirt, no ledger in the machine's state, no boot."""
    monkeypatch.setattr(proof, "connected", lambda _uri: Connection())
    monkeypatch.setattr(proof, "of_image", lambda *_: Acceleration("tcg", "why"))
    monkeypatch.setattr(reaper, "start", lambda _ledger: None)
    monkeypatch.setattr("debfleet.common.ledger.state_folder", lambda: tmp_path / "state")
    return monkeypatch


def test_a_proof_keeps_to_its_schema_and_replaces_the_old_one(still: Any, tmp_path: Path, repo: Path) -> None:
    folder = write(tmp_path, [])
    still.setattr(attempt.Attempt, "run", lambda *_: booted(True))
    proof.prove(folder, attempt.Options(firmware=["bios"]))
    schema = json.loads((repo / "schemas/proof.json").read_text())
    written = json.loads((folder / "proof.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(written)
    assert written["architecture"] == "amd64"
    assert written["sha256"] == hashlib.sha256(BYTES).hexdigest()
    still.setattr(attempt.Attempt, "run", lambda *_: booted(False))
    with pytest.raises(FindingsError) as caught:
        proof.prove(folder, attempt.Options(firmware=["bios"]))
    assert "bios: swap: none" in caught.value.why
    assert not (folder / "proof.json").exists()
    assert (folder / "serial.log").exists()
    assert not list((tmp_path / "state/ledgers").iterdir())


def run_module(capsys: pytest.CaptureFixture[str], check: bool = False, **args: Any) -> dict[str, Any]:
    with patch_module_args({**args, "_ansible_check_mode": check}), pytest.raises(SystemExit):
        image_proof.main()
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


@pytest.fixture(autouse=True)
def _signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_proof, "raise_on_signals", lambda: None)


def test_the_module_wants_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert "folder" in run_module(capsys)["msg"]


def test_the_module_refuses_an_unknown_firmware(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "coreboot" in run_module(capsys, folder=str(tmp_path), firmware=["coreboot"])["msg"]


def test_check_mode_says_what_it_would_boot(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = run_module(capsys, check=True, folder=str(write(tmp_path, [])), uri="qemu:///session")
    assert said["proof"] == {
        "file": "disk.raw",
        "firmware": ["bios", "uefi"],
        "access": "console",
        "uri": "qemu:///session",
    }
    assert not (tmp_path / "proof.json").exists()


def test_a_boot_that_stops_is_told_with_stage_lines_and_advice(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(*_: object) -> None:
        raise image_proof.BootError("bios", Diagnosis("kernel", "it panicked", "read it", ["panic"]), 3.0)

    monkeypatch.setattr(image_proof, "prove", stop)
    said = run_module(capsys, folder=str(tmp_path))
    assert (said["failed"], said["stage"], said["lines"], said["advice"]) == (True, "kernel", ["panic"], "read it")


def test_a_proof_is_returned(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(image_proof, "prove", lambda *_: {"file": "disk.raw"})
    said = run_module(capsys, folder=str(tmp_path))
    assert (said["changed"], said["proof"]) == (True, {"file": "disk.raw"})
