# SPDX-License-Identifier: GPL-3.0-or-later
"""What users say of a domain's parts, read: disks, networks, forwarded ports, devices of the host. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..architectures import MachineType
from ..errors import DebfleetError
from .image import FORMATS
from .machine import LOCAL, Disk, Forward, HostDevice, Network

NETWORKS = {"user": "", "nat": "default", "bridge": ""}  # each with what it means where no source is said
UNKNOWN = {"vhdx"}  # formats of QEMU's that libvirt doesn't know
PCI = re.compile(r"(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])", re.I)
USB = re.compile(r"([0-9a-f]{4}):([0-9a-f]{4})", re.I)
MAC = re.compile(r"[0-9a-f][02468ace](?::[0-9a-f]{2}){5}", re.I)


def absolute(path: Any) -> Path:
    """The path from the root; ~ is known."""
    return Path(str(path)).expanduser().absolute()


def path_of(said: Mapping[str, Any], key: str) -> Path | None:
    """The path that an option names."""
    return absolute(said[key]) if said.get(key) else None


def format_named(name: str) -> str:
    """QEMU's name of a format that libvirt knows too, from itself or from the ending of files."""
    if name in UNKNOWN:
        raise DebfleetError(f"libvirt has no disks of the format {name}", hint="qemu-img convert it to qcow2")
    known = {ending[1:]: qemu for ending, qemu in FORMATS.items() if qemu not in UNKNOWN}
    known |= {qemu: qemu for qemu in known.values()}
    if name not in known:
        raise DebfleetError(f"there is no format {name}", hint=f"allowed: {', '.join(sorted(known))}")
    return known[name]


def disk(said: Mapping[str, Any]) -> Disk:
    """A further disk: path, format, readonly."""
    _only(said, "disks", {"path", "format", "readonly"}, {"path"})
    path = absolute(said["path"])
    kind = said.get("format") or FORMATS.get(path.suffix)
    if kind is None:
        raise DebfleetError("the disk's format can't be told from its name", where=str(path), hint="say its format")
    return Disk(path, format_named(str(kind)), readonly=bool(said.get("readonly")))


def networks(
    said: Sequence[Mapping[str, Any]] | None, forwards: Sequence[Any] | None, kind: MachineType, *, xen: bool
) -> list[Network]:
    """The network cards: one where nothing is said. Forwarded ports lead through the first."""
    usual = "nat" if xen else "user"
    cards = [_network(card, usual) for card in (([{}] if kind.network else []) if said is None else said)]
    if xen and any(card.type == "user" for card in cards):
        raise DebfleetError("under Xen there is no network of type user", hint="allowed: nat, bridge")
    if cards and not kind.network:
        raise DebfleetError(f"a machine {kind.name} has no network card", hint="networks: []")
    if not forwards:
        return cards
    if not cards or cards[0].type != "user":
        raise DebfleetError("ports can be forwarded on a network of type user alone",
                            hint="make it the first of networks, or reach the guest by its address")  # fmt: skip
    return [replace(cards[0], forwards=tuple(forward(one) for one in forwards)), *cards[1:]]


def _network(said: Mapping[str, Any], usual: str) -> Network:
    _only(said, "networks", {"type", "source", "mac"}, set())
    kind = str(said.get("type") or usual)
    if kind not in NETWORKS:
        raise DebfleetError(f"there is no network of type {kind}", hint=f"allowed: {', '.join(NETWORKS)}")
    source, mac = str(said.get("source") or NETWORKS[kind]), str(said.get("mac") or "")
    if kind == "bridge" and not source:
        raise DebfleetError("a network of type bridge needs the bridge's name", hint="source: br0")
    if kind == "user" and source:
        raise DebfleetError("a network of type user has no source", where=f"source: {source}")
    if mac and not MAC.fullmatch(mac):
        raise DebfleetError("this is no address of a network card", where=f"mac: {mac}", hint="as 52:54:00:12:34:56")
    return Network(kind, source, mac.lower())


def with_mac(network: Network, name: str, number: int) -> Network:
    """The card with an address, of QEMU's range, that is the same whenever the domain is defined."""
    digest = hashlib.sha256(f"{name}\n{number}".encode(errors="surrogatepass")).digest()
    made = "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])
    return network if network.mac else replace(network, mac=made)


def forward(said: Any) -> Forward:
    """A forwarded port: guest, host, address, protocol; or `[PROTOCOL:][ADDRESS:]HOST:GUEST`, as at the prompt."""
    if not isinstance(said, Mapping):
        said = _forward_words(str(said))
    _only(said, "forwards", {"guest", "host", "address", "protocol"}, {"guest"})
    protocol, address = str(said.get("protocol") or "tcp"), str(said.get("address") or LOCAL)
    if protocol not in ("tcp", "udp"):
        raise DebfleetError(f"ports of {protocol} can't be forwarded", hint="allowed: tcp, udp")
    try:
        ipaddress.IPv4Address(address)
    except ValueError as error:
        raise DebfleetError("this is no IPv4 address", where=f"address: {address}") from error
    return Forward(_port(said.get("host") or 0, least=0), _port(said["guest"]), address, protocol)


def _forward_words(text: str) -> dict[str, Any]:
    *front, guest = text.split(":")
    said: dict[str, Any] = {"guest": guest}
    if front and front[0] in ("tcp", "udp"):
        said["protocol"] = front.pop(0)
    if front:
        said["host"] = front.pop()
    if front:
        said["address"] = front.pop()
    if front:
        raise DebfleetError("this is no forwarded port", where=text, hint="as 2222:22 or udp:127.0.0.1:5353:53")
    return said


def _port(said: Any, least: int = 1) -> int:
    if not str(said).isascii() or not str(said).isdigit() or not least <= int(said) <= 65535:
        raise DebfleetError("this is no port", where=str(said), hint=f"allowed: {least} to 65535")
    return int(said)


def host_device(text: str) -> HostDevice:
    """A device of the host: PCI as lspci -D names it, USB by vendor and product as lsusb does."""
    if match := PCI.fullmatch(text):
        return HostDevice("pci", tuple(int(part or "0", 16) for part in match.groups()))
    if match := USB.fullmatch(text):
        return HostDevice("usb", (int(match[1], 16), int(match[2], 16)))
    raise DebfleetError(
        f"{text} names no device of this machine", hint="as 0000:01:00.0 (lspci -D) or 1d6b:0002 (lsusb)"
    )


def _only(said: Mapping[str, Any], where: str, allowed: set[str], needed: set[str]) -> None:
    said_keys = {key for key, value in said.items() if value is not None}
    if wrong := sorted(said_keys - allowed):
        raise DebfleetError(f"{where} has no {', '.join(wrong)}", hint=f"allowed: {', '.join(sorted(allowed))}")
    if lacking := sorted(needed - said_keys):
        raise DebfleetError(f"an item of {where} needs {', '.join(lacking)}")
