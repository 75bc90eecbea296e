# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user who isn't root can't have built, said before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from debfleet.common import userns
from debfleet.common.errors import DebfleetError

LOOP = ("xfs", "btrfs")  # filled by a loop mount
FOR_ROOT = "could not build this image without root"


@dataclass(frozen=True)
class Refusal:
    """What of a manifest only root can have: the key, why, and what else there is."""

    where: str
    why: str
    instead: str


def refusals(manifest: Mapping[str, Any], layout: Mapping[str, Any]) -> Iterator[Refusal]:
    """All that this manifest asks for and only root can do.

    :param layout: of the disk, as `image_build` has it.
    """
    if manifest["bootstrapper"].get("tool") == "debootstrap":
        yield Refusal(
            "bootstrapper.tool: debootstrap",
            "debootstrap makes device nodes, which the kernel lets only root do",
            "take mmdebstrap, the default",
        )
    for part in layout["partitions"]:
        if part.get("filesystem") in LOOP:
            yield Refusal(
                f"volume.partitions.{part['name']}.filesystem: {part['filesystem']}",
                f"no tool fills {part['filesystem']} from a folder without loss, and only root can mount it",
                "take ext4",
            )
    if manifest["system"]["bootloader"] == "extlinux":
        yield Refusal(
            "system.bootloader: extlinux",
            "extlinux is installed on a mounted filesystem, and only root can mount it",
            "take grub",
        )


def require(manifest: Mapping[str, Any], layout: Mapping[str, Any]) -> None:
    """See that this user can build this image; root always can.

    Raises DebfleetError with all that is refused, and MissingError where the machine has no namespaces for this user.
    """
    if not userns.needed():
        return
    if found := list(refusals(manifest, layout)):
        raise DebfleetError(
            FOR_ROOT,
            why="\n".join(f"{one.where}: {one.why}" for one in found),
            hint=f"{', '.join(dict.fromkeys(one.instead for one in found))}; or build as root",
        )
    userns.require()
