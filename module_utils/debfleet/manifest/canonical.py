# SPDX-License-Identifier: GPL-3.0-or-later
"""The canonical manifest: what everything after the door sees. It can't be changed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..architectures import TABLE, host


def default_firmware(kind: Any, bootloader: Any, architecture: Any) -> str:
    """What starts an image when the manifest doesn't say: all that its map, bootloader and architecture allow."""
    if bootloader == "systemd-boot":
        return "uefi"
    if kind != "gpt" or bootloader in ("none", "pvgrub", "extlinux"):
        return "bios"
    row = TABLE.get(str(architecture))
    return "both" if row and row.bios else "uefi"


def without_charmap(locale: Any, charmap: Any) -> dict[str, str]:
    """The locale without a charmap of its own, where that is system.charmap: ``de_DE.utf8`` with UTF-8 is de_DE."""
    match = re.fullmatch(r"([^.@]+)\.([^@]+)(@.+)?", locale) if isinstance(locale, str) else None
    if match is None or not isinstance(charmap, str):
        return {}
    own, asked = (re.sub(r"[^a-z0-9]", "", word.lower()) for word in (match[2], charmap))
    return {"locale": match[1] + (match[3] or "")} if own == asked else {}


def complete(data: dict[str, Any]) -> None:
    """Fill in, in place, the defaults that depend on other keys. Takes anything, also what is no manifest yet."""
    system, volume = data.get("system"), data.get("volume")
    if not isinstance(system, dict) or not isinstance(volume, dict):
        return
    partitions = volume.get("partitions")
    kind = partitions.get("type") if isinstance(partitions, dict) else None
    if "architecture" not in system:
        system["architecture"] = host().name
    if "firmware" not in system:
        system["firmware"] = default_firmware(kind, system.get("bootloader"), system["architecture"])
    system.update(without_charmap(system.get("locale"), system.get("charmap")))
    order = ("release", "architecture", "userspace_architecture", "firmware", "bootloader", "charmap", "locale")
    known = {key: system[key] for key in order if key in system}
    data["system"] = {**known, **{key: value for key, value in system.items() if key not in known}}


def frozen(value: Any) -> Any:
    """The value with nothing in it that could be changed."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(item) for key, item in value.items()})
    return tuple(frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


def thawed(value: Any) -> Any:
    """The value as plain dicts and lists."""
    if isinstance(value, Mapping):
        return {key: thawed(item) for key, item in value.items()}
    return [thawed(item) for item in value] if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True)
class Manifest:
    """A manifest with all defaults filled in; `data` is deeply immutable and holds no plain secret."""

    data: Mapping[str, Any]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Manifest:
        """A manifest of this data, whatever becomes of them later."""
        return cls(frozen(data))

    @property
    def name(self) -> str:
        """The name of the image, and of its folder."""
        return str(self.data["name"])

    def to_dict(self) -> dict[str, Any]:
        """A copy as plain dicts and lists."""
        copied: dict[str, Any] = thawed(self.data)
        return copied

    def canonical_json(self) -> str:
        """As manifest.json has it: the same text for the same meaning, partitions in their order on the disk."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def __hash__(self) -> int:
        return hash(self.canonical_json())
