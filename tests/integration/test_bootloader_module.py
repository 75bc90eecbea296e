# SPDX-License-Identifier: GPL-3.0-or-later
"""The module bootloader, on disks whose tree has this machine's grub modules, and files in place of other loaders."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bootloader as module
import pytest
from ansible.module_utils.testing import patch_module_args

from debfleet.common.disk import assemble, layout, states

Run = Callable[..., dict[str, Any]]
SYSTEM = {"architecture": "amd64", "firmware": "both", "bootloader": "grub"}
PLATFORMS = ("i386-pc", "x86_64-efi")
pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_module(check: bool = False, **options: Any) -> dict[str, Any]:
        given = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
        with patch_module_args({**given, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run_module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "boot").mkdir(parents=True)
    for name in ("vmlinuz-6.12-amd64", "initrd.img-6.12-amd64", "vmlinuz-6.1-amd64"):
        (made / "boot" / name).write_text(name)
    for platform in PLATFORMS:
        shutil.copytree(Path("/usr/lib/grub") / platform, made / "usr/lib/grub" / platform)
    return made


def planned(kind: str, **partitions: Any) -> layout.Layout:
    volume = {"size": None, "partitions": {"type": kind, "root": {"size": "100MiB"}, **partitions}}
    return layout.plan(volume, firmware="both", bootloader="grub", seed="s")


def filled(disk: Path, plan: layout.Layout, tree: Path) -> None:
    for goal in states.GOALS:
        current = assemble.read_current(disk, plan)
        assemble.apply(disk, plan, states.plan(current, plan, goal, assemble.made_empty()), tree)


@pytest.mark.parametrize("kind", ["gpt", "msdos"])
def test_grub_is_configured_and_installed_once(run: Run, tree: Path, tmp_path: Path, kind: str) -> None:
    disk, plan = tmp_path / "disk.raw", planned(kind)
    given = {"tree": tree, "layout": plan.to_dict(), "system": SYSTEM}
    assert run(check=True, state="configured", **given)["changed"] is True
    assert not (tree / "boot/grub").exists()
    assert run(state="configured", **given)["changed"] is True
    assert "linux /boot/vmlinuz-6.12-amd64 root=UUID=" in (tree / "boot/grub/grub.cfg").read_text()
    for platform, core in zip(PLATFORMS, ("core.img", "core.efi"), strict=True):
        assert (tree / "boot/grub" / platform / core).stat().st_size > 50_000
        assert (tree / "boot/grub" / platform / "normal.mod").exists()
    filled(disk, plan, tree)
    before = disk.read_bytes()
    assert run(check=True, disk=disk, **given)["written"] == ["MBR", "ESP"]
    assert disk.read_bytes() == before
    assert run(disk=disk, **given)["written"] == ["MBR", "ESP"]
    assert run(disk=disk, **given) == {"changed": False, "written": []}
    told = subprocess.run(["sfdisk", "--json", disk], capture_output=True, check=True).stdout
    assert json.loads(told)["partitiontable"]["id"].lower() == plan.disk_uuid, "the map is as it was"
    esp, image = plan.esp, tmp_path / "BOOTX64.EFI"
    assert esp is not None
    subprocess.run(["mcopy", "-i", f"{disk}@@{esp.start}", "::EFI/BOOT/BOOTX64.EFI", image], check=True)
    assert image.read_bytes() == (tree / "boot/grub/x86_64-efi/core.efi").read_bytes()
    assert disk.read_bytes()[510:512] == b"\x55\xaa"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["BOOTX64.EFI", "disk.raw", "tree"]


def test_systemd_boot_is_configured_and_installed_once(run: Run, tree: Path, tmp_path: Path) -> None:
    disk, system = tmp_path / "disk.raw", {**SYSTEM, "bootloader": "systemd-boot", "firmware": "uefi"}
    volume = {"size": None, "partitions": {"type": "gpt", "root": {"size": "100MiB"}}}
    plan = layout.plan(volume, firmware="uefi", bootloader="systemd-boot", seed="s")
    source = tree / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"a loader")
    given = {"tree": tree, "layout": plan.to_dict(), "system": system}
    assert run(state="configured", **given)["changed"] is True
    filled(disk, plan, tree)
    before = disk.read_bytes()
    assert run(check=True, disk=disk, **given)["written"] == ["ESP"]
    assert disk.read_bytes() == before
    assert run(disk=disk, **given)["written"] == ["ESP"]
    assert run(disk=disk, **given) == {"changed": False, "written": []}
    assert plan.esp is not None
    where = f"{disk}@@{plan.esp.start}"
    listed = subprocess.run(["mdir", "-b", "-/", "-i", where, "::"], capture_output=True, text=True, check=True).stdout
    for name in ("EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi", "debian/6.12-amd64/initrd.img-6.12-amd64"):
        assert f"::/{name}\n" in listed
    source.write_bytes(b"a newer one")
    assert run(disk=disk, **given)["written"] == ["ESP"]


def test_what_the_image_has_of_its_own_stays(run: Run, tree: Path) -> None:
    own = tree / "etc/default/grub"
    own.parent.mkdir(parents=True)
    own.write_text("GRUB_TIMEOUT=9\n")
    run(state="configured", tree=tree, layout=planned("gpt").to_dict(), system=SYSTEM, console="console=ttyS0,115200")
    assert own.read_text() == "GRUB_TIMEOUT=9\n"
    assert 'GRUB_CMDLINE_LINUX="console=ttyS0,115200"' in (tree / "etc/default/grub.d/debfleet.cfg").read_text()


@pytest.mark.parametrize(
    ("options", "message", "words"),
    [
        ({"state": "gone"}, "value of state must be one of", ""),
        ({}, "disk", ""),
        ({"disk": "/no/disk"}, "could not install the bootloader grub", "there is no disk"),
        ({"state": "configured", "layout": {}}, "could not configure the bootloader grub", "isn't one that"),
        ({"state": "configured", "system": {"bootloader": "lilo"}}, "the bootloader lilo", "isn't there yet"),
    ],
)
def test_bad_input_is_refused(run: Run, tree: Path, options: dict[str, Any], message: str, words: str) -> None:
    result = run(**{"tree": tree, "layout": planned("gpt").to_dict(), "system": SYSTEM, **options})
    assert result["failed"] is True
    assert message in result["msg"]
    assert words in json.dumps(result)


def test_a_tree_that_is_not_configured_is_told(run: Run, tree: Path, tmp_path: Path) -> None:
    disk, plan = tmp_path / "disk.raw", planned("gpt")
    filled(disk, plan, tree)
    result = run(disk=disk, tree=tree, layout=plan.to_dict(), system=SYSTEM)
    assert "isn't configured in the tree" in json.dumps(result)
