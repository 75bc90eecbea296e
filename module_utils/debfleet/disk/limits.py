# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a volume from being laid out, each with its path in the manifest."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .. import sizes
from .combinations import TABLE
from .filesystems import FILESYSTEMS
from .shape import ALIGNMENT, PRIMARIES, SECTOR, LayoutError
from .space import Wish, declared, logicals, overhead, shared_out, volume_size, wishes

MBR_END = 2**32 * SECTOR  # what a sector number of 32 bits reaches
MOST = {"none": 1, "gpt": 128, "msdos": 60}  # of msdos, sfdisk's limit
NO_MOUNTS = ("bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys")
MOUNT = r"[A-Za-z0-9_+@:][A-Za-z0-9_+@:.-]*(/[A-Za-z0-9_+@:.][A-Za-z0-9_+@:.-]*)*"
SET_MAP = "set volume.partitions.type to gpt or msdos"


def troubles(volume: Mapping[str, Any], *, firmware: str, bootloader: str) -> list[LayoutError]:
    """All that is wrong with a volume of the canonical manifest; nothing when `layout.plan` succeeds."""
    if volume["partitions"]["type"] not in MOST:
        kind = volume["partitions"]["type"]
        return [
            LayoutError(
                f"there is no partition map {kind}", where="volume.partitions.type", hint=f"one of {', '.join(MOST)}"
            )
        ]
    found = [*_names(volume), *_texts(volume), *_maps(volume, firmware, bootloader)]
    if found:
        return found
    asked = wishes(volume, firmware, bootloader)
    return [*_relative(volume, asked), *_primary(volume, asked, bootloader)] or list(_absolute(volume, asked))


def _exact(count: int) -> str:
    """Bytes in whole GiB or else MiB, so that a reader can add them up."""
    return sizes.shown(count) if count % 2**30 == 0 else f"{count / ALIGNMENT:.10g} MiB"


def _names(volume: Mapping[str, Any]) -> Iterator[LayoutError]:
    for name in declared(volume):
        where = f"volume.partitions.{name}"
        if not re.fullmatch(MOUNT, name) or name != posixpath.normpath(name):
            yield LayoutError(
                f"{name!r} is no mount point", where=where, hint="write it without a leading slash, as var/tmp"
            )
        elif name.split("/")[0] in NO_MOUNTS:
            yield LayoutError(
                f"/{name} can't be a partition of its own: it is needed before one is mounted", where=where
            )
    if "root" not in declared(volume):
        yield LayoutError("there is no root partition", where="volume.partitions", hint="add root, with its size")


def _texts(volume: Mapping[str, Any]) -> Iterator[LayoutError]:
    """Sizes that can't be read."""
    size = volume.get("size")
    try:
        if size is not None and sizes.in_bytes(size) == 0:
            yield LayoutError("the volume has a size of nothing", where="volume.size")
    except ValueError as error:
        yield LayoutError(str(error), where="volume.size")
    for name, asked in declared(volume).items():
        where = f"volume.partitions.{name}.size"
        try:
            if sizes.parse(asked["size"]) == sizes.Bytes(0):
                yield LayoutError(f"{name} has a size of nothing", where=where)
        except KeyError:
            yield LayoutError(f"{name} has no size", where=where)
        except ValueError as error:
            yield LayoutError(str(error), where=where)


def _maps(volume: Mapping[str, Any], firmware: str, bootloader: str) -> Iterator[LayoutError]:
    """What a map can't hold, and what can't do without one."""
    kind = volume["partitions"]["type"]
    if kind != "none":
        return
    for name in declared(volume):
        if name != "root":
            yield LayoutError(f"{name} needs a partition map; without one there is only root",
                              where=f"volume.partitions.{name}", hint=SET_MAP)  # fmt: skip
    if bootloader in TABLE and kind not in TABLE[bootloader].maps:
        yield LayoutError(f"the bootloader {bootloader} needs a partition map", where="volume.partitions.type",
                          hint=f"{SET_MAP}, or system.bootloader to none")  # fmt: skip


def _relative(volume: Mapping[str, Any], asked: list[Wish]) -> Iterator[LayoutError]:
    """Sizes that depend on the volume's, and can't; and too many partitions."""
    kind = volume["partitions"]["type"]
    if len(asked) > MOST[kind]:
        yield LayoutError(
            f"{len(asked)} partitions are more than the {MOST[kind]} of a map {kind}", where="volume.partitions"
        )
    greedy = [wish for wish in asked if isinstance(wish.size, sizes.Remaining)]
    if len(greedy) > 1:
        names = " and ".join(wish.name for wish in greedy)
        yield LayoutError(f"only one partition can have what remains, not {names}", where=greedy[1].where)
    shares = [(wish, wish.size.share) for wish in asked if isinstance(wish.size, sizes.Percent)]
    if sum(share for _, share in shares) > 100:
        text = " + ".join(f"{wish.name} {share}%" for wish, share in shares)
        yield LayoutError(f"the shares are more than 100 %: {text}", where=shares[-1][0].where)
    if volume.get("size") is None:
        for wish in asked:
            if wish.fixed is None:
                yield LayoutError(f"{wish.name} is {wish.asked['size']} of a volume that has no size", where=wish.where,
                                  hint="set volume.size")  # fmt: skip


def _primary(volume: Mapping[str, Any], asked: list[Wish], bootloader: str) -> Iterator[LayoutError]:
    """A /boot, or root without one, among the logical partitions, for a bootloader whose boot code knows none."""
    row, kind = TABLE.get(bootloader), volume["partitions"]["type"]
    if row is None or not row.primary or not logicals(kind, len(asked)):
        return
    names = [wish.name for wish in asked]
    name = "boot" if "boot" in names else "root"
    if names.index(name) >= PRIMARIES:
        yield LayoutError(
            f"{bootloader} boots a primary partition, and {name} would be a logical one",
            where=f"volume.partitions.{name}",
            hint=f"let {name} be one of the first {PRIMARIES}, or set volume.partitions.type to gpt",
        )


def _absolute(volume: Mapping[str, Any], asked: list[Wish]) -> Iterator[LayoutError]:
    """Partitions that don't fit on the volume, or beyond what their map reaches."""
    kind, size = volume["partitions"]["type"], volume_size(volume, asked)
    room = size - overhead(kind, len(asked))
    counts = shared_out(room, asked)
    needs = sum(count for count, wish in zip(counts, asked, strict=True) if not isinstance(wish.size, sizes.Remaining))
    if needs > room:
        largest = max((count, wish.where) for count, wish in zip(counts, asked, strict=True) if wish.asked)[1]
        pairs = zip(counts, asked, strict=True)
        listed = ", ".join(f"{wish.name} {_exact(count)}" for count, wish in pairs if count > 0)
        yield LayoutError(
            "the partitions are larger than the volume",
            where=largest,
            why=f"they need {_exact(needs)}: {listed}\n"
            f"the volume of {_exact(size)} has {_exact(max(room, 0))} for them",
            hint="enlarge volume.size, or make a partition smaller",
        )
        return
    end = ALIGNMENT
    for index, (count, wish) in enumerate(zip(counts, asked, strict=True)):
        end += count + (ALIGNMENT if logicals(kind, len(asked)) and index >= PRIMARIES else 0)
        if count < ALIGNMENT:
            yield LayoutError(f"nothing is left for {wish.name} on the volume of {_exact(size)}", where=wish.where,
                              hint="enlarge volume.size, or make a partition smaller")  # fmt: skip
        elif wish.filesystem in FILESYSTEMS and count < FILESYSTEMS[wish.filesystem].least:
            least = _exact(FILESYSTEMS[wish.filesystem].least)
            yield LayoutError(f"{wish.name} of {_exact(count)} is too small for {wish.filesystem}, which needs {least}",
                              where=wish.where, hint=f"enlarge {wish.where}, or take ext4")  # fmt: skip
        elif kind == "msdos" and end > MBR_END:
            yield LayoutError(f"{wish.name} would end beyond the 2 TiB that a map msdos reaches", where=wish.where,
                              hint="set volume.partitions.type to gpt")  # fmt: skip
