# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML of a domain: what libvirt is told about a machine. Pure."""

from __future__ import annotations

import base64
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..architectures import Architecture

QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
DEBUG_PORT = "0x402"  # where SeaBIOS and OVMF write what they do
SSH = 22


@dataclass(frozen=True)
class Kernel:
    """A kernel that is booted directly, without a bootloader of the image."""

    image: Path
    initrd: Path | None
    cmdline: str


@dataclass(frozen=True)
class Disk:
    """A disk: a file in one of QEMU's formats (raw, qcow2, vmdk …)."""

    path: Path
    format: str
    readonly: bool = False


@dataclass(frozen=True)
class Machine:
    """What a domain is made of.

    :param firmware: bios or uefi; `variables` is the domain's own copy of the UEFI variables.
    :param accelerator: kvm or tcg.
    :param memory: bytes.
    :param serial: the file that gets all that the first serial port says; `debug` what the firmware says.
    :param credentials: systemd credentials by name, handed in by SMBIOS.
    :param network: whether there is a network card; a free port of 127.0.0.1 leads to its SSH port.
    :param owner: uid and gid that QEMU runs as, where the daemon can choose; None leaves it to libvirt.
    """

    name: str
    architecture: Architecture
    firmware: str
    accelerator: str
    memory: int
    cpus: int
    disks: Sequence[Disk]
    serial: Path
    debug: Path
    variables: Path | None = None
    kernel: Kernel | None = None
    credentials: Mapping[str, str] = field(default_factory=dict)
    network: bool = True
    owner: tuple[int, int] | None = None


def domain_xml(machine: Machine) -> str:
    """The XML of this machine's domain."""
    ET.register_namespace("qemu", QEMU)
    root = ET.Element("domain", type="kvm" if machine.accelerator == "kvm" else "qemu")
    _text(root, "name", machine.name)
    _text(root, "uuid", str(uuid.uuid4()))
    _text(root, "memory", str(machine.memory // 1024), unit="KiB")
    _text(root, "vcpu", str(machine.cpus))
    _smbios(root, machine)
    _os(root, machine)
    features = ET.SubElement(root, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(root, "cpu", mode="maximum")
    ET.SubElement(root, "clock", offset="utc")
    _text(root, "on_poweroff", "destroy")
    _text(root, "on_crash", "destroy")
    _devices(root, machine)
    if machine.owner:
        label = ET.SubElement(root, "seclabel", type="static", model="dac", relabel="no")
        _text(label, "label", f"+{machine.owner[0]}:+{machine.owner[1]}")
    _commandline(root, machine)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element


def _smbios(root: ET.Element, machine: Machine) -> None:
    if machine.credentials:
        strings = ET.SubElement(ET.SubElement(root, "sysinfo", type="smbios"), "oemStrings")
        for name, value in machine.credentials.items():
            packed = base64.b64encode(value.encode()).decode()
            _text(strings, "entry", f"io.systemd.credential.binary:{name}={packed}")


def _os(root: ET.Element, machine: Machine) -> None:
    system = ET.SubElement(root, "os")
    _text(system, "type", "hvm", arch=machine.architecture.libvirt, machine=machine.architecture.machine.name)
    if machine.credentials:
        ET.SubElement(system, "smbios", mode="sysinfo")
    firmware = machine.architecture.firmware.get(machine.firmware)
    if firmware:
        _text(system, "loader", firmware.code, readonly="yes", type="pflash")
        _text(system, "nvram", str(machine.variables))
    if machine.kernel:
        _text(system, "kernel", str(machine.kernel.image))
        if machine.kernel.initrd:
            _text(system, "initrd", str(machine.kernel.initrd))
        _text(system, "cmdline", machine.kernel.cmdline)
    else:
        ET.SubElement(system, "boot", dev="hd")


def _devices(root: ET.Element, machine: Machine) -> None:
    devices = ET.SubElement(root, "devices")
    for number, disk in enumerate(machine.disks):
        element = ET.SubElement(devices, "disk", type="file", device="disk")
        # nothing of it outlives the domain, so nothing need reach the disk
        ET.SubElement(element, "driver", name="qemu", type=disk.format, cache="unsafe", discard="unmap")
        ET.SubElement(element, "source", file=str(disk.path))
        ET.SubElement(element, "target", dev=f"vd{chr(ord('a') + number)}", bus="virtio")
        if disk.readonly:
            ET.SubElement(element, "readonly")
    serial = ET.SubElement(devices, "serial", type="pty")
    ET.SubElement(serial, "log", file=str(machine.serial), append="off")
    ET.SubElement(serial, "target", port="0")
    debug = ET.SubElement(devices, "serial", type="file")
    ET.SubElement(debug, "source", path=str(machine.debug))
    target = ET.SubElement(debug, "target", type="isa-debug", port="1")
    ET.SubElement(target, "model", name="isa-debugcon")
    ET.SubElement(debug, "address", type="isa", iobase=DEBUG_PORT)
    ET.SubElement(devices, "memballoon", model="none")
    entropy = ET.SubElement(devices, "rng", model="virtio")
    _text(entropy, "backend", "/dev/urandom", model="random")


def _commandline(root: ET.Element, machine: Machine) -> None:
    """What libvirt has no words for: forwarding a port that the kernel chooses, and SeaBIOS on the serial port."""
    words = ["-machine", "graphics=off"]
    if machine.network:
        words += ["-netdev", f"user,id=debfleet0,hostfwd=tcp:127.0.0.1:0-:{SSH}"]
        words += ["-device", "virtio-net-pci,netdev=debfleet0,addr=0x10,romfile="]
    commandline = ET.SubElement(root, f"{{{QEMU}}}commandline")
    for word in words:
        ET.SubElement(commandline, f"{{{QEMU}}}arg", value=word)
