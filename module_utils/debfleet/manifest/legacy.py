# SPDX-License-Identifier: GPL-3.0-or-later
"""The four published generations of bootstrap-vz manifests, brought to today's form. Only this room knows old keys.

1. flat: the provider is a text, system.mirror, volume.filesystem and volume.size; 2. image{name, description};
3. provider{} with top-level virtualization and credentials; 4. YAML, the name at the top.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from . import legacy_plugins
from .problems import Positions, Problem
from .translation import Translation, is_empty

PROVIDERS = {"one": "kvm", "raw": "kvm", "libvirt": "kvm", "qemu": "kvm", "vbox": "virtualbox", "openstack": "kvm"}
VARIABLES = {
    "release": "system.release",
    "architecture": "system.architecture",
    "arch": "system.architecture",
    "virtualization": "provider.virtualization",
    "virt": "provider.virtualization",
    "year": "%Y",
    "month": "%m",
    "day": "%d",
    "hour": "%H",
    "minute": "%M",
    "ami_name": "name",
    "image_name": "name",
}
MOVES = (
    (("bootstrapdir",), ("bootstrapper", "workspace")),
    (("bootstrapper", "mount_dir"), ("bootstrapper", "workspace")),
    (("bootstrapper", "guest_additions"), ("provider", "guest_additions")),
    (("bootstrapper", "virtio"), ("provider", "virtio")),
    (("system", "virtio_modules"), ("provider", "virtio")),
    (("provider", "virtio_modules"), ("provider", "virtio")),
    (("system", "waagent"), ("provider", "waagent")),
    (("system", "mirror"), ("packages", "mirror")),
    (("system", "sections"), ("packages", "components")),
    (("image", "name"), ("name",)),
    (("image", "description"), ("provider", "description")),
    (("image", "bucket"), ("provider", "bucket")),
    (("image", "region"), ("provider", "region")),
    (("tags",), ("provider", "tags")),
    (("credentials",), ("provider", "credentials")),
)
DROPS = (("bootstrapper", "device"), ("bootstrapper", "image_file"), ("volume", "loopback_dir"))
DESCRIBED = ("ec2", "gce")
MIB, GIB = "MiB", "GiB"
LARGEST_GIB = 15  # a volume of up to so many was in GiB in the earliest manifests, above it in MiB


def translate(data: dict[str, Any], positions: Positions) -> tuple[list[Problem], list[Problem]]:
    """Bring the data to today's form, in place. Returns notices and errors."""
    door = Translation(data, positions)
    flat = isinstance(data.get("provider"), str)
    provider(door)
    for old, new in MOVES:
        door.move(old, new)
    for keys in DROPS:
        door.drop(keys)
    leftovers(door)
    virtualization(door)
    volume(door, flat)
    packages(door)
    legacy_plugins.translate(door)
    variables(door)
    return door.notices, door.errors


def provider(door: Translation) -> None:
    """A provider was a text once, and some have another name today."""
    if isinstance(door.get("provider"), str):
        name = door.data["provider"]
        door.note(("provider",), "is a mapping today: provider.name")
        door.positions.move(("provider",), ("provider", "name"))
        door.data["provider"] = {"name": name}
    name = door.get("provider", "name")
    if isinstance(name, str) and name in PROVIDERS:
        door.replace(("provider", "name"), PROVIDERS[name], f"{name} is called {PROVIDERS[name]} today")
        if name == "one" and not door.has("plugins", "opennebula"):
            door.put(("plugins", "opennebula"), {})
            door.note(("provider", "name"), "one brings the plugin opennebula along")


def leftovers(door: Translation) -> None:
    """Sections that are empty once their keys have moved, and descriptions nobody reads."""
    if "image" in door.data and is_empty(door.data["image"]):
        door.take("image")
    root = door.get("provider", "credentials", "root")
    if isinstance(root, str):
        door.move(("provider", "credentials", "root"), ("plugins", "root_password", "password"))
        if door.get("provider", "credentials") == {}:
            door.take("provider", "credentials")
    credentials = door.get("provider", "credentials")
    if isinstance(credentials, dict) and is_empty(credentials):
        door.drop(("provider", "credentials"), "are empty and were left out")
    if door.get("provider", "name") not in (*DESCRIBED, None):
        door.drop(("provider", "description"))
    labels = door.get("provider", "dockerfile")
    if isinstance(labels, str):
        lines = [line for line in labels.splitlines() if line.strip()]
        door.replace(("provider", "dockerfile"), lines, "is a list of lines today")
    name = door.get("name")
    if door.get("provider", "name") == "docker" and isinstance(name, str) and re.search(r":[^:/]+$", name):
        base, _, tag = name.rpartition(":")
        door.replace(("name",), base, "the tag after the colon is written provider.tag today")
        if not door.has("provider", "tag"):
            door.put(("provider", "tag"), tag)
            door.positions.move(("name",), ("provider", "tag"))


def virtualization(door: Translation) -> None:
    """It stood at the top, and was a kind of disk for KVM."""
    if not door.has("virtualization"):
        return
    if door.get("provider", "name") == "ec2":
        door.move(("virtualization",), ("provider", "virtualization"))
        return
    if isinstance(value := door.get("virtualization"), str):
        door.literals |= {"virtualization": value, "virt": value, "provider.virtualization": value}
    if value == "virtio" and not door.has("provider", "virtio"):
        door.move(("virtualization",), ("provider", "virtio"), ["virtio_pci", "virtio_blk"])
    else:
        door.drop(("virtualization",))


def size(value: Any, *, of_volume: bool = False) -> str | None:
    """Today's form of a size that was a bare number or had a bare unit, None where it needs no other form."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return f"{value}{GIB if of_volume and value <= LARGEST_GIB else MIB}"
    if isinstance(value, str) and (match := re.fullmatch(r"(\d{1,9})\s*([KMGTkmgt])", value)):
        return f"{match[1]}{match[2].upper()}iB"
    if isinstance(value, str) and re.fullmatch(r"\d{2,9}", value):
        return f"{int(value)}{MIB}"
    return None


def volume(door: Translation, flat: bool) -> None:
    """One filesystem and its size, a list of partitions with flags, sizes in bare numbers, the map called mbr."""
    if not isinstance(door.get("volume"), dict):
        return
    if (better := size(door.get("volume", "size"), of_volume=True)) is not None:
        door.replace(("volume", "size"), better, f"a size has a unit today: {better}")
    if isinstance(table := door.get("volume", "partition_table"), dict) and not door.has("volume", "partitions"):
        parts: dict[str, Any] = {"type": table.get("type")}
        old = ("volume", "partition_table")
        for index, part in enumerate(table.get("partitions") or []):
            if isinstance(part, dict):
                flags = part.get("flags") or ["root"]
                name = str(flags[0]) if isinstance(flags, list) and flags else "root"
                parts[name] = {key: value for key, value in part.items() if key != "flags"}
                door.positions.move((*old, "partitions", index), ("volume", "partitions", name))
        door.move(old, ("volume", "partitions"), parts)
    if door.has("volume", "filesystem") and not door.has("volume", "partitions"):
        kind = "none" if door.get("provider", "name") == "ec2" else "msdos"
        door.put(("volume", "partitions"), {"type": kind, "root": {}})
        door.move(("volume", "filesystem"), ("volume", "partitions", "root", "filesystem"))
        door.move(("volume", "size"), ("volume", "partitions", "root", "size"))
    if door.get("provider", "name") == "azure" and door.get("volume", "backing") == "raw":
        door.replace(("volume", "backing"), "vhd", "Azure takes vhd")
    kind = door.get("volume", "partitions", "type")
    if kind == "mbr":
        door.replace(("volume", "partitions", "type"), "msdos", "mbr is called msdos today")
    elif door.has("volume", "partitions", "type") and kind is None:
        door.replace(("volume", "partitions", "type"), "none", "no map is written none today")
    partitions = door.get("volume", "partitions")
    for name in list(partitions) if isinstance(partitions, dict) else []:
        keys = ("volume", "partitions", name, "size")
        if (better := size(door.get(*keys))) is not None:
            door.replace(keys, better, f"a size has a unit today: {better}")
        mode = door.get("volume", "partitions", name, "mode")
        if isinstance(mode, int) and not isinstance(mode, bool):
            door.put(("volume", "partitions", name, "mode"), str(mode))
    if flat and not door.has("system", "bootloader") and isinstance(door.get("system"), dict):
        paravirtual = door.get("provider", "virtualization") == "pvm"
        none = door.get("volume", "partitions", "type") == "none"
        door.put(("system", "bootloader"), "pvgrub" if paravirtual else "extlinux" if none else "grub")


def packages(door: Translation) -> None:
    """Packages were lists of their own: system.packages, packages.remote and packages.local."""
    for old in (("system", "packages"), ("packages", "local"), ("packages", "remote")):
        if not door.has(*old):
            continue
        items = door.get(*old)
        if is_empty(items):
            door.drop(old, "is empty and was left out")
        elif isinstance(items, list):
            door.extend(old, ("packages", "install"), [_package(item) for item in items])


def _package(item: Any) -> Any:
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        target = item.get("target")
        return f"{item['name']}/{target}" if target else item["name"]
    return item


def renamed(text: str, literals: Mapping[str, str]) -> str:
    """A text with today's names of the variables in braces; those that are gone are filled in."""
    return re.sub(
        r"\{([\w.]+)\}",
        lambda match: literals.get(match[1]) or "{" + VARIABLES.get(match[1], match[1]) + "}",
        text,
    )


def variables(door: Translation) -> None:
    """Variables had shorter names."""
    places: list[tuple[Any, ...]] = [("name",), ("provider", "description"), ("plugins", "build_metadata", "path")]
    for section in (("provider", "tags"), ("provider", "labels")):
        if isinstance(found := door.get(*section), dict):
            places += [(*section, key) for key in found]
    for keys in places:
        if isinstance(text := door.get(*keys), str) and (new := renamed(text, door.literals)) != text:
            door.replace(keys, new, f"is written {new} today")
    lists: list[tuple[str, ...]] = [("packages", "install")]
    if isinstance(sources := door.get("packages", "sources"), dict):
        lists += [("packages", "sources", key) for key in sources]
    for keys in lists:
        lines = door.get(*keys)
        if isinstance(lines, list):
            for index, line in enumerate(lines):
                if isinstance(line, str) and (new := renamed(line, door.literals)) != line:
                    lines[index] = new
                    door.note((*keys, index), f"is written {new} today")
