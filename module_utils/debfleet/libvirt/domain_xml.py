# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML of a domain: what libvirt is told about a machine. Pure."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET

from ..errors import DebfleetError
from . import devices_xml
from .devices_xml import text
from .machine import Machine

QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
OURS = "urn:debfleet:domain:1"  # the namespace of our part of a domain's metadata
ORIGIN = f"{{{OURS}}}domain"
TYPES = {"kvm": "kvm", "tcg": "qemu", "xen": "xen"}
UNSAYABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def domain_xml(machine: Machine) -> str:
    """The XML of this machine's domain. Raises DebfleetError for characters that XML can't have."""
    ET.register_namespace("qemu", QEMU)
    ET.register_namespace("debfleet", OURS)
    root = ET.Element("domain", type=TYPES[machine.accelerator])
    text(root, "name", machine.name)
    if machine.uuid:
        text(root, "uuid", machine.uuid)
    if machine.origin is not None:
        ET.SubElement(ET.SubElement(root, "metadata"), ORIGIN, dict(machine.origin))
    text(root, "memory", str(machine.memory // 1024), unit="KiB")
    text(root, "vcpu", str(machine.cpus))
    _credentials(root, machine)
    _os(root, machine)
    _features(root, machine)
    _cpu(root, machine)
    ET.SubElement(root, "clock", offset="utc")
    if machine.volatile:
        text(root, "on_poweroff", "destroy")
        text(root, "on_crash", "destroy")
    devices_xml.add(root, machine)
    if machine.owner:
        label = ET.SubElement(root, "seclabel", type="static", model="dac", relabel="no")
        text(label, "label", f"+{machine.owner[0]}:+{machine.owner[1]}")
    if words := devices_xml.commandline(machine):
        commandline = ET.SubElement(root, f"{{{QEMU}}}commandline")
        for word in words:
            ET.SubElement(commandline, f"{{{QEMU}}}arg", value=word)
    ET.indent(root)
    written = ET.tostring(root, encoding="unicode")
    if found := UNSAYABLE.search(written):
        raise DebfleetError(
            f"the domain {machine.name!a} has a character that XML can't have", why=f"it is {found[0]!a}",
            hint="leave it out of names and paths",
        )  # fmt: skip
    return written


def _credentials(root: ET.Element, machine: Machine) -> None:
    if not machine.credentials:
        return
    if machine.smbios:
        strings = ET.SubElement(ET.SubElement(root, "sysinfo", type="smbios"), "oemStrings")
        for name, value in machine.credentials.items():
            packed = base64.b64encode(value.encode()).decode()
            text(strings, "entry", f"io.systemd.credential.binary:{name}={packed}")
    elif machine.type.fw_cfg:
        files = ET.SubElement(root, "sysinfo", type="fwcfg")
        for name, value in machine.credentials.items():
            text(files, "entry", value, name=f"opt/io.systemd.credentials/{name}")
    else:
        raise DebfleetError(f"the machine {machine.type.name} can't be handed credentials")


def _os(root: ET.Element, machine: Machine) -> None:
    system = ET.SubElement(root, "os")
    paravirtual = machine.accelerator == "xen" and not machine.type.firmware
    text(system, "type", "linux" if paravirtual else "hvm", arch=machine.architecture.libvirt,
         machine=machine.type.name)  # fmt: skip
    if machine.credentials and machine.smbios:
        ET.SubElement(system, "smbios", mode="sysinfo")
    firmware = machine.type.firmware.get(machine.firmware)
    if firmware and firmware.way == "kernel":
        text(system, "kernel", firmware.code)
    elif firmware:
        text(system, "loader", firmware.code, readonly="yes", type="pflash")
        text(system, "nvram", str(machine.variables or ""), template=firmware.variables)
    if machine.kernel:
        text(system, "kernel", str(machine.kernel.image))
        if machine.kernel.initrd:
            text(system, "initrd", str(machine.kernel.initrd))
        text(system, "cmdline", machine.kernel.cmdline)
        if machine.kernel.device_tree:
            text(system, "dtb", str(machine.kernel.device_tree))
    else:
        ET.SubElement(system, "boot", dev="hd")


def _features(root: ET.Element, machine: Machine) -> None:
    firmware = machine.type.firmware.get(machine.firmware)
    features = ET.Element("features")
    if machine.firmware in machine.type.acpi:
        ET.SubElement(features, "acpi")
    if firmware and firmware.smm:
        ET.SubElement(features, "smm", state="on")
    if len(features):
        root.append(features)


def _cpu(root: ET.Element, machine: Machine) -> None:
    if machine.accelerator == "kvm":
        ET.SubElement(root, "cpu", mode="host-passthrough")
    elif machine.accelerator == "tcg" and machine.type.cpu == "max":
        ET.SubElement(root, "cpu", mode="maximum")
    elif machine.accelerator == "tcg" and machine.type.cpu:
        cpu = ET.SubElement(root, "cpu", mode="custom", match="exact", check="none")
        text(cpu, "model", machine.type.cpu, fallback="forbid")
