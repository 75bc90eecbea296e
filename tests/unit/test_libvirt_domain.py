# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML of domains: valid for everything that can be asked for, the same by module, filter and prompt."""

from __future__ import annotations

import functools
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from debfleet import cli
from debfleet.common.architectures import TABLE, Architecture, MachineType, host
from debfleet.common.errors import DebfleetError
from debfleet.common.libvirt import compare, request
from debfleet.common.libvirt.domain_xml import OURS, QEMU, UNSAYABLE, domain_xml
from debfleet.common.libvirt.image import FORMATS
from debfleet.common.libvirt.words import UNKNOWN
from filter_plugins import domain_xml as plugin

QEMUS = sorted(set(FORMATS.values()) - UNKNOWN)
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
KINDS = [(row, kind, False) for row in TABLE.values() for kind in row.machine_types]
KINDS += [(row, kind, True) for row in TABLE.values() for kind in row.xen_types]
NETWORKS: dict[str, Any] = {
    "user": {"networks": [{"type": "user"}]},
    "forwarded": {
        "networks": [{"type": "user"}],
        "forwards": [{"guest": 22, "host": 2222}, {"guest": 53, "protocol": "udp"}],
    },
    "nat": {"networks": [{"type": "nat"}]},
    "bridge": {"networks": [{"type": "bridge", "source": "br0", "mac": "52:54:00:aa:bb:cc"}]},
    "several": {"networks": [{"type": "user"}, {"type": "nat", "source": "lab"}], "forwards": ["8080:80"]},
    "none": {"networks": []},
}  # fmt: skip
text = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/\ufffe\uffff"), min_size=1, max_size=20
)
names = text.filter(lambda name: name.strip() and name not in (".", "..") and not UNSAYABLE.search(name))


@functools.cache
def schema() -> Any:
    return etree.RelaxNG(etree.parse(str(SCHEMA)))


def asked(row: Architecture, kind: MachineType, xen: bool, firmware: str, network: str, **more: Any) -> dict[str, Any]:
    """The options of a domain, with a kernel where it needs one."""
    cards = NETWORKS[network]
    if xen and any(card.get("type") == "user" for card in cards["networks"]):
        cards = NETWORKS["nat"]
    kernel = (
        {"kernel": "/k/vmlinuz", "initrd": "/k/initrd.img", "cmdline": 'root="a" <&>'} if firmware == "direct" else {}
    )
    options = {
        "name": "a domain",
        "architecture": row.name,
        "machine": kind.name,
        "firmware": firmware,
        **cards,
        **kernel,
    }
    return {**options, "accelerator": "xen" if xen else "tcg", "image": "/i/disk.raw", **more}


def firmwares(kind: MachineType) -> list[str]:
    return [*kind.firmware, "direct"]


def assert_valid(xml: str) -> None:
    document = etree.fromstring(xml)
    assert schema().validate(document), f"{schema().error_log}\n{xml}"


@pytest.mark.skipif(not SCHEMA.exists(), reason="libvirt's schemas are not here")
class TestSchema:
    @pytest.mark.parametrize(("row", "kind", "xen"), KINDS, ids=lambda one: getattr(one, "name", str(one)))
    def test_every_machine_firmware_format_and_network(self, row: Architecture, kind: MachineType, xen: bool) -> None:
        for firmware in firmwares(kind):
            for form in QEMUS:
                for network in NETWORKS:
                    assert_valid(domain_xml(request.machine(asked(row, kind, xen, firmware, network, format=form))))

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data())
    def test_whatever_is_said_is_valid_and_comes_back(self, data: st.DataObject) -> None:
        row, kind, xen = data.draw(st.sampled_from(KINDS))
        name, path = data.draw(names), "/" + data.draw(names)
        least, most = kind.memory or (1, 1 << 20)
        options = asked(
            row, kind, xen, data.draw(st.sampled_from(firmwares(kind))), data.draw(st.sampled_from(list(NETWORKS))),
            name=name, image=path, format=data.draw(st.sampled_from(QEMUS)),
            disks=[{"path": f"{path}{number}", "format": "raw"} for number in range(data.draw(st.integers(0, 30)))],
            memory=data.draw(st.integers(least, most)), cpus=data.draw(st.integers(1, kind.cpus or 64)),
            serial=data.draw(st.none() | st.just(path + ".log")), seed=data.draw(st.none() | st.just(path + ".iso")),
            host_devices=data.draw(st.lists(st.sampled_from(["01:00.0", "ffff:ff:1f.7", "1d6b:0002"]), unique=True)),
        )  # fmt: skip
        made = request.machine(options)
        xml = domain_xml(made)
        assert_valid(xml)
        root = ET.fromstring(xml)
        assert root.findtext("name") == name
        sources = [source.get("file") for source in root.iterfind("devices/disk/source")]
        assert sources == [str(disk.path) for disk in made.disks[: kind.slots or None]]
        assert sources[0] == str(Path(path).absolute())
        targets = [target.get("dev") for target in root.iterfind("devices/disk/target")]
        assert len(set(targets)) == len(targets)
        assert int(root.findtext("memory") or 0) == made.memory // 1024


FOUND = ET.fromstring


def xml_of(**options: Any) -> ET.Element:
    return FOUND(domain_xml(request.machine({"name": "web", "accelerator": "tcg", "image": "/i/disk.raw", **options})))


@pytest.mark.parametrize(("said", "libvirt", "kind"), [("arm", "armv7l", "virt"), ("armel", "armv6l", "versatilepb")])
def test_arm_is_armhf_and_armel_what_its_ancestor_made(said: str, libvirt: str, kind: str) -> None:
    named = xml_of(architecture=said).find("os/type")
    assert named is not None and (named.get("arch"), named.get("machine")) == (libvirt, kind)


def test_a_machine_without_firmware_takes_the_kernel_beside_the_image() -> None:
    root = xml_of(architecture="armel")
    assert [root.findtext(f"os/{what}") for what in ("kernel", "initrd", "dtb")] == [
        "/i/vmlinuz", "/i/initrd.img", "/i/versatile-pb.dtb",
    ]  # fmt: skip
    assert "console=ttyAMA0" in (root.findtext("os/cmdline") or "")


def test_without_architecture_it_is_the_hosts() -> None:
    named = xml_of().find("os/type")
    assert named is not None and named.get("arch") == host().libvirt


def test_ports_are_forwarded_by_qemu_itself() -> None:
    root = xml_of(architecture="arm64", forwards=["2222:22", "udp:0.0.0.0:53:5353"])
    words = [arg.get("value") for arg in root.iter(f"{{{QEMU}}}arg")]
    assert "user,id=debfleet0,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp:0.0.0.0:53-:5353" in words


def test_a_board_with_one_slot_gets_further_disks_by_usb() -> None:
    disks = [{"path": "/a,b.iso", "format": "raw", "readonly": True}, {"path": "/c.qcow2"}]
    root = xml_of(architecture="armel", machine="raspi1ap", disks=disks)
    assert len(root.findall("devices/disk")) == 1
    words = [arg.get("value") for arg in root.iter(f"{{{QEMU}}}arg")]
    assert "if=none,id=debfleet-disk0,file=/a,,b.iso,format=raw,readonly=on" in words
    assert "usb-storage,drive=debfleet-disk1" in words


def test_a_gpu_is_passed_through() -> None:
    address = xml_of(host_devices=["0000:0a:00.1"]).find("devices/hostdev/source/address")
    assert address is not None and address.attrib == {
        "domain": "0x0000",
        "bus": "0x0a",
        "slot": "0x00",
        "function": "0x1",
    }


def test_a_card_has_the_same_address_every_time_and_no_other_has_it() -> None:
    def address(name: str) -> str:
        card = xml_of(name=name).find("devices/interface/mac")
        assert card is not None
        return str(card.get("address"))

    assert address("web") == address("web") != address("db")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": " "}, "needs a name"),
    "a path for a name": ({"name": "a/b"}, "without /"),
    "a control character": ({"name": "a\x01"}, "needs a name"),
    "not XML": ({"name": "a", "serial": "/a\x0bb"}, "XML can't have"),
    "architecture": ({"architecture": "vax"}, "no architecture vax"),
    "machine": ({"architecture": "arm64", "machine": "q35"}, "no machine q35"),
    "firmware": ({"architecture": "riscv64", "firmware": "bios"}, "no firmware bios"),
    "direct without kernel": ({"architecture": "amd64", "firmware": "direct"}, "needs a kernel"),
    "lone initrd": ({"architecture": "amd64", "initrd": "/i"}, "initrd is said"),
    "no image and no firmware": ({"architecture": "armel", "image": None}, "boots only a kernel"),
    "accelerator": ({"accelerator": "warp"}, "nothing accelerates by warp"),
    "xen": ({"architecture": "s390x", "accelerator": "xen"}, "under Xen"),
    "xen's network": ({"architecture": "amd64", "accelerator": "xen", "networks": [{"type": "user"}]}, "under Xen"),
    "format": ({"format": "floppy"}, "no format floppy"),
    "vhdx": ({"image": "/i/disk.vhdx"}, "no disks of the format vhdx"),
    "no format": ({"image": "/i/disk"}, "format can't be told"),
    "memory": ({"architecture": "armel", "memory": 4096}, "other memory"),
    "cpus": ({"cpus": 0}, "other numbers of CPUs"),
    "unknown": ({"colour": "red"}, "no option colour"),
    "network": ({"networks": [{"type": "token-ring"}]}, "no network of type"),
    "bridge": ({"networks": [{"type": "bridge"}]}, "needs the bridge's name"),
    "mac": ({"networks": [{"mac": "01:00:00:00:00:00"}]}, "no address"),
    "forward without user": ({"networks": [{"type": "nat"}], "forwards": ["1:2"]}, "type user alone"),
    "port": ({"forwards": ["70000:22"]}, "no port"),
    "guest's port": ({"forwards": ["22:0"]}, "no port"),
    "address": ({"forwards": ["::1:22:22"]}, "no forwarded port"),
    "protocol": ({"forwards": [{"guest": 1, "protocol": "ipx"}]}, "ipx"),
    "device": ({"host_devices": ["the GPU"]}, "names no device"),
    "disk": ({"disks": [{"file": "/x"}]}, "disks has no file"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told(case: str) -> None:
    options, said = WRONG[case]
    with pytest.raises(DebfleetError, match=said):
        xml_of(**options)


@given(names, names)
def test_a_definition_differs_from_itself_in_nothing(name: str, other: str) -> None:
    first, second = xml_of(name=name), xml_of(name=other)
    assert compare.reduced(first, first) == compare.written(first)
    assert (compare.reduced(first, second) == compare.written(second)) == (name == other)


def test_what_libvirt_adds_is_no_difference_and_what_a_user_adds_is() -> None:
    wanted = xml_of(architecture="amd64")
    defined = xml_of(architecture="amd64")
    devices, kind = defined.find("devices"), defined.find("os/type")
    assert devices is not None and kind is not None
    kind.set("machine", "pc-q35-7.2")
    ET.SubElement(devices, "controller", type="pci")
    ET.SubElement(devices[1], "address", type="pci")
    assert compare.reduced(defined, wanted, ["pc-q35-"]) == compare.written(wanted)
    ET.SubElement(ET.SubElement(devices, "disk", type="file"), "target", dev="vdz")
    assert "vdz" in compare.reduced(defined, wanted, ["pc-q35-"])
    devices.remove(devices[1])
    assert "/i/disk.raw" not in compare.reduced(defined, wanted, ["pc-q35-"])


def test_disks_are_told_by_their_names_not_by_their_places() -> None:
    more: dict[str, Any] = {"disks": [{"path": "/b.raw", "readonly": True}]}
    wanted, defined = xml_of(**more), xml_of(**more)
    devices = defined.find("devices")
    assert devices is not None
    devices.remove(devices[1])
    kept = FOUND(compare.reduced(defined, wanted))
    assert [disk.get("dev") for disk in kept.iterfind("devices/disk/target")] == ["vdb"]
    assert kept.find("devices/disk/readonly") is not None


def test_ours_are_known_by_their_metadata() -> None:
    root = xml_of(architecture="arm64")
    assert (compare.origin(root) or {})["architecture"] == "arm64"
    root.remove(root[[child.tag for child in root].index("metadata")])
    assert compare.origin(root) is None
    assert OURS not in ET.tostring(root, encoding="unicode")


def test_filter_and_prompt_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    options = {"name": "ä <web> & Co", "architecture": "arm", "image": "/i/disk.qcow2", "memory": 512,
               "accelerator": "tcg",
               "disks": [{"path": "/d.raw", "readonly": True}], "forwards": [{"guest": 22, "host": 2222}]}  # fmt: skip
    words = ["domain-xml", "--arch", "arm", "--name", "ä <web> & Co", "--image", "/i/disk.qcow2", "--memory", "512"]
    words += ["--accelerator", "tcg", "--disk", "/d.raw,readonly", "--forward", "2222:22"]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert said == plugin.of_options(options) == domain_xml(request.machine(options)) + "\n"
    assert FOUND(said).findtext("name") == "ä <web> & Co"


def test_the_prompt_needs_no_libvirt_and_no_emulator(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("debfleet.common.run.SEARCH", "/nonexistent")
    monkeypatch.setitem(__import__("sys").modules, "libvirt", None)
    for row in TABLE.values():
        assert cli.main(["domain-xml", "--arch", row.name, "--image", "/i/disk.raw", "--network", "none"]) == 0
        assert f"/usr/bin/{row.emulator}" in capsys.readouterr().out


def test_the_prompt_tells_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["domain-xml", "--arch", "vax", "--image", "/i/disk.raw"]) == 4
    assert "there is no architecture vax" in capsys.readouterr().err
