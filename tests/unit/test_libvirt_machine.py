# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine is made of: its XML, its seed, its credentials, what accelerates it."""

from __future__ import annotations

import base64
import io
import json
import os
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pycdlib
import pytest

from debfleet.common.architectures import architecture
from debfleet.common.errors import DebfleetError, MissingError
from debfleet.common.libvirt import acceleration, seed
from debfleet.common.libvirt.domain import unique_name
from debfleet.common.libvirt.domain_xml import QEMU, domain_xml
from debfleet.common.libvirt.machine import Disk, Forward, Kernel, Machine, Network

AMD64 = architecture("amd64")
MACHINE = Machine(
    name="debfleet-test-1",
    architecture=AMD64,
    type=AMD64.machine,
    firmware="bios",
    accelerator="tcg",
    memory=1 << 30,
    cpus=1,
    disks=[Disk(Path("/tmp/a&b.qcow2"), "qcow2"), Disk(Path("/tmp/seed.iso"), "raw", readonly=True)],
    serial=Path("/tmp/serial.log"),
    debug=Path("/tmp/firmware.log"),
    networks=[Network(forwards=(Forward(0, 22),))],
)


def words(machine: Machine) -> list[str]:
    return [arg.attrib["value"] for arg in ET.fromstring(domain_xml(machine)).iter(f"{{{QEMU}}}arg")]


def test_a_machine_has_its_disks_its_logs_and_a_port_for_ssh() -> None:
    root = ET.fromstring(domain_xml(MACHINE))
    assert root.attrib["type"] == "qemu"
    assert root.findtext("memory") == str(1 << 20)
    assert [disk.find("source").attrib["file"] for disk in root.iter("disk")] == ["/tmp/a&b.qcow2", "/tmp/seed.iso"]  # type: ignore[union-attr]
    assert [disk.find("readonly") is not None for disk in root.iter("disk")] == [False, True]
    assert root.find("os/loader") is None and root.find("os/boot") is not None
    assert any("hostfwd=tcp:127.0.0.1:0-:22" in word for word in words(MACHINE))


def test_kvm_uefi_and_an_owner_are_said() -> None:
    root = ET.fromstring(
        domain_xml(replace(MACHINE, accelerator="kvm", firmware="uefi", variables=Path("/tmp/v.fd"), owner=(0, 0)))
    )
    assert root.attrib["type"] == "kvm"
    assert root.findtext("os/nvram") == "/tmp/v.fd"
    assert root.findtext("seclabel/label") == "+0:+0"


def test_a_kernel_is_booted_directly_without_a_bootloader() -> None:
    kernel = Kernel(Path("/b/vmlinuz"), None, "root=UUID=1 ro")
    root = ET.fromstring(domain_xml(replace(MACHINE, kernel=kernel)))
    assert root.findtext("os/kernel") == "/b/vmlinuz"
    assert root.findtext("os/cmdline") == "root=UUID=1 ro"
    assert root.find("os/initrd") is None and root.find("os/boot") is None


def test_without_a_network_there_is_no_card() -> None:
    assert not any("netdev" in word for word in words(replace(MACHINE, networks=[])))


def test_credentials_reach_the_guest_whole() -> None:
    root = ET.fromstring(domain_xml(replace(MACHINE, credentials={"tmpfiles.extra": "f /a\nf /b, c\n"})))
    entry = root.findtext("sysinfo/oemStrings/entry") or ""
    name, _, value = entry.removeprefix("io.systemd.credential.binary:").partition("=")
    assert (name, base64.b64decode(value)) == ("tmpfiles.extra", b"f /a\nf /b, c\n")
    smbios = root.find("os/smbios")
    assert smbios is not None and smbios.attrib["mode"] == "sysinfo"


def test_names_are_unique_and_such_as_libvirt_takes() -> None:
    names = {unique_name("so long a näme/" * 9) for _ in range(9)}
    assert len(names) == 9
    assert all(name.startswith("debfleet-") and len(name) < 80 and name.isascii() and "/" not in name for name in names)


def test_an_unknown_architecture_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(DebfleetError) as caught:
        architecture("pdp11")
    assert "amd64" in caught.value.hint


def test_the_seed_is_what_cloud_init_looks_for(tmp_path: Path) -> None:
    seed.cloud_init_seed(tmp_path / "seed.iso", "i-1", "ssh-ed25519 AAAA", "feed")
    iso = pycdlib.PyCdlib()
    iso.open(str(tmp_path / "seed.iso"))
    assert iso.pvd.volume_identifier.decode().strip() == "cidata"
    texts = {}
    for name in ("meta-data", "user-data"):
        content = io.BytesIO()
        iso.get_file_from_iso_fp(content, joliet_path=f"/{name}")
        texts[name] = content.getvalue().decode()
    iso.close()
    assert texts["meta-data"] == "instance-id: i-1\n"
    head, _, body = texts["user-data"].partition("\n")
    data = json.loads(body)
    assert head == "#cloud-config"
    assert data["users"][0] == "default" and data["users"][1]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA"]
    assert data["preserve_hostname"] is True
    assert data["write_files"][0]["content"] == "feed"


def lines(credentials: dict[str, str]) -> dict[str, str]:
    rows = [line.split() for line in credentials["tmpfiles.extra"].splitlines()]
    assert all(row[0] == "f+~" and len(row) == 7 for row in rows)
    return {row[1]: base64.b64decode(row[6]).decode() for row in rows}


def test_credentials_bring_the_key_or_the_password_and_the_token() -> None:
    by_ssh = seed.ssh_credentials("ssh-ed25519 AAAA", "feed")
    assert by_ssh["ssh.authorized_keys.root"] == "ssh-ed25519 AAAA\n"
    assert lines(by_ssh)[seed.TOKEN_FILE] == "feed"
    by_console = lines(seed.console_credentials("$6$salt$hash", "feed", "echo\n"))
    assert by_console[seed.TOKEN_FILE] == "feed"
    assert by_console["/etc/shadow"].startswith("root:$6$salt$hash:")
    assert by_console[seed.SCRIPT_FILE] == "echo\n"


@pytest.fixture
def kvm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A /dev/kvm that opens, an empty cache, and a kernel's file."""
    (tmp_path / "kvm").touch()
    monkeypatch.setattr(acceleration, "KVM", tmp_path / "kvm")
    monkeypatch.setattr(acceleration, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(os, "uname", lambda: type("Uname", (), {"machine": AMD64.uname[0]}))
    monkeypatch.setattr(acceleration, "_key", lambda _row: "this boot")
    return tmp_path / "vmlinuz"


SAID = {
    "kvm": "Linux version 6.1\nVFS: Unable to mount root fs on unknown-block(0,0)",
    "tcg": "Linux version 6.1\n",
}


@pytest.mark.parametrize("name", SAID)
def test_kvm_is_taken_where_a_kernel_comes_through_on_it(name: str, kvm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "_boot", lambda _row, _kernel: (SAID[name], 1.0))
    first = acceleration.choose("auto", AMD64, kvm)
    assert first.name == name and first.reason
    monkeypatch.setattr(acceleration, "_boot", lambda _row, _kernel: pytest.fail("tried again"))
    assert acceleration.choose("auto", AMD64, kvm) == first
    with pytest.raises(pytest.fail.Exception):
        acceleration.choose("auto", architecture("i386"), kvm)  # of each architecture by itself
    monkeypatch.setattr(acceleration, "_key", lambda _row: "the next boot")
    with pytest.raises(pytest.fail.Exception):
        acceleration.choose("auto", AMD64, kvm)


def test_kvm_that_is_asked_for_and_hangs_is_an_error(kvm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "_boot", lambda _row, _kernel: ("", 10.0))
    with pytest.raises(MissingError) as caught:
        acceleration.choose("kvm", AMD64, kvm)
    assert "says nothing" in caught.value.why


def test_emulation_says_why(kvm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert acceleration.choose("tcg", AMD64, kvm).reason == "emulation was asked for"
    assert "no kernel" in acceleration.choose("auto", AMD64, None).reason
    acceleration.KVM.unlink()
    assert "there is no" in acceleration.choose("auto", AMD64, kvm).reason
    monkeypatch.setattr(os, "uname", lambda: type("Uname", (), {"machine": "aarch64"}))
    assert "aarch64" in acceleration.choose("auto", AMD64, kvm).reason
