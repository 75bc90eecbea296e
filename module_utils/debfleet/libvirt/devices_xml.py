# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of a domain, as libvirt is told them; and what it has no words for. Pure."""

from __future__ import annotations

import string
import xml.etree.ElementTree as ET

from .machine import HostDevice, Machine, Network

DEBUG_PORT = "0x402"  # where SeaBIOS and OVMF write what they do
DISKS = {"virtio": "vd", "xen": "xvd", "ide": "hd"}  # how the names of a bus's disks begin, else sd
OURS = "debfleet"


def text(parent: ET.Element, tag: str, content: str, **attributes: str) -> ET.Element:
    """Add an element with this text."""
    element = ET.SubElement(parent, tag, attributes)
    element.text = content
    return element


def add(root: ET.Element, machine: Machine) -> None:
    """Add the element `devices` to the domain."""
    devices = ET.SubElement(root, "devices")
    if machine.emulator:
        text(devices, "emulator", machine.emulator)
    _disks(devices, machine)
    for network in machine.networks:
        if not by_commandline(machine, network):
            _interface(devices, machine, network)
    _consoles(devices, machine)
    for device in machine.host_devices:
        _host_device(devices, device)
    ET.SubElement(devices, "memballoon", model="none")
    if machine.type.virtio:
        entropy = ET.SubElement(devices, "rng", model="virtio")
        text(entropy, "backend", "/dev/urandom", model="random")


def disk_name(bus: str, number: int) -> str:
    """The name of a bus's disk, counted from 0: vda, vdb … vdz, vdaa …"""
    letters = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, 26)
        letters = string.ascii_lowercase[digit] + letters
    return DISKS.get(bus, "sd") + letters


def _disks(devices: ET.Element, machine: Machine) -> None:
    bus = machine.type.disk
    # where nothing of it outlives the domain, nothing need reach the disk
    driver = {"cache": "unsafe", "discard": "unmap"} if machine.volatile else {}
    for number, disk in enumerate(machine.disks[: machine.type.slots or None]):
        element = ET.SubElement(devices, "disk", type="file", device="disk")
        ET.SubElement(element, "driver", {"name": "qemu", "type": disk.format, **driver})
        ET.SubElement(element, "source", file=str(disk.path))
        ET.SubElement(element, "target", dev=disk_name(bus, number), bus=bus)
        if disk.readonly:
            ET.SubElement(element, "readonly")


def by_commandline(machine: Machine, network: Network) -> bool:
    """Whether libvirt has no words for a card: it forwards ports by passt alone, which Debian 12's can't."""
    return network.type == "user" and machine.accelerator != "xen" and bool(network.forwards)


def _interface(devices: ET.Element, machine: Machine, network: Network) -> None:
    kind = {"nat": "network"}.get(network.type, network.type)
    element = ET.SubElement(devices, "interface", type=kind)
    if network.mac:
        ET.SubElement(element, "mac", address=network.mac)
    if network.source:
        ET.SubElement(element, "source", {kind: network.source})
    model = machine.type.network
    ET.SubElement(element, "model", type="virtio" if model.startswith("virtio") else model)


def _consoles(devices: ET.Element, machine: Machine) -> None:
    port = ET.SubElement(devices, "console" if machine.accelerator == "xen" else "serial", type="pty")
    if machine.serial:
        ET.SubElement(port, "log", file=str(machine.serial), append="off")
    ET.SubElement(port, "target", {"port": "0", **({"type": "xen"} if machine.accelerator == "xen" else {})})
    if machine.debug and machine.type.debug:
        debug = ET.SubElement(devices, "serial", type="file")
        ET.SubElement(debug, "source", path=str(machine.debug))
        target = ET.SubElement(debug, "target", type="isa-debug", port="1")
        ET.SubElement(target, "model", name="isa-debugcon")
        ET.SubElement(debug, "address", type="isa", iobase=DEBUG_PORT)


def _host_device(devices: ET.Element, device: HostDevice) -> None:
    managed = {"managed": "yes"} if device.bus == "pci" else {}
    element = ET.SubElement(devices, "hostdev", {"mode": "subsystem", "type": device.bus, **managed})
    source = ET.SubElement(element, "source")
    if device.bus == "pci":
        digits = (("domain", 4), ("bus", 2), ("slot", 2), ("function", 1))  # as libvirt writes them back
        ET.SubElement(
            source,
            "address",
            {name: f"0x{number:0{width}x}" for (name, width), number in zip(digits, device.numbers, strict=True)},
        )
    else:
        for name, number in zip(("vendor", "product"), device.numbers, strict=True):
            ET.SubElement(source, name, id=f"{number:#06x}")


def commandline(machine: Machine) -> list[str]:
    """QEMU's words for what libvirt has none for: forwarded ports, a BIOS on the serial port, USB disks of a board."""
    if machine.accelerator == "xen":
        return []
    words = ["-machine", "graphics=off"] if machine.type.debug else []
    for number, disk in enumerate(machine.disks[machine.type.slots :] if machine.type.slots else []):
        name = f"{OURS}-disk{number}"
        path = str(disk.path).replace(",", ",,")
        access = ",readonly=on" if disk.readonly else ""
        words += ["-drive", f"if=none,id={name},file={path},format={disk.format}{access}"]
        words += ["-device", f"usb-storage,drive={name}"]
    for number, network in enumerate(machine.networks):
        if by_commandline(machine, network):
            name = f"{OURS}{number}"
            # far from the places that libvirt gives away, on the machine's first bus
            place = f",addr={0x10 + number:#x},romfile=" if machine.type.network.endswith("-pci") else ""
            mac = f",mac={network.mac}" if network.mac else ""
            forwards = "".join(f",hostfwd={forward}" for forward in network.forwards)
            words += ["-netdev", f"user,id={name}{forwards}"]
            words += ["-device", f"{machine.type.network},netdev={name}{mac}{place}"]
    return words
