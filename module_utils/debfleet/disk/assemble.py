# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk in a file, put together step by step from a layout and a tree."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .. import epoch, journal
from ..errors import DebfleetError
from ..sizes import shown
from . import partition_map, sparse
from .census import Share, census
from .filesystems import FILESYSTEMS
from .filling import tell_split
from .shape import SECTOR, Layout, LayoutError, Partition
from .states import CREATED, FILLED, FORMATTED, MAP, NONEXISTENT, VOLUME, WRITTEN, Action, DiskState


def made_empty() -> tuple[str, ...]:
    """The filesystems that are made first and filled later; the others are made with their content."""
    return tuple(name for name, filesystem in FILESYSTEMS.items() if filesystem.made_empty)


def read_current(disk: Path, layout: Layout) -> DiskState:
    """What a disk is now, as far as this layout is concerned: a map or filesystem of other ids counts as none."""
    nothing = dict.fromkeys((part.name for part in layout.partitions), NONEXISTENT)
    if not disk.is_file():
        return DiskState(NONEXISTENT, NONEXISTENT, nothing)
    if disk.stat().st_size != layout.size or not partition_map.matches(partition_map.read(disk), layout):
        return DiskState(CREATED, NONEXISTENT, nothing)
    return DiskState(CREATED, WRITTEN, {part.name: _state(disk, part) for part in layout.partitions})


def _state(disk: Path, part: Partition) -> str:
    filesystem = FILESYSTEMS.get(part.filesystem or "")
    if filesystem is None or filesystem.uuid(disk, part) != part.uuid:
        return CREATED
    return FORMATTED if filesystem.made_empty else FILLED


def check(layout: Layout, *folders: Path) -> None:
    """Raise DebfleetError where a filesystem is asked for that nothing here can make, or a folder isn't there."""
    for place in folders:
        if not place.is_dir():
            raise DebfleetError(f"there is no folder {place}")
    for part in layout.partitions:
        if part.filesystem and part.filesystem not in FILESYSTEMS:
            raise LayoutError(
                f"{part.name} can't be {part.filesystem} yet",
                where=f"volume.partitions.{part.name}.filesystem",
                hint=f"one of {', '.join(FILESYSTEMS)}",
            )


def apply(disk: Path, layout: Layout, actions: Sequence[Action], tree: Path | None = None) -> None:
    """Do the steps that `states.plan` gave, in order.

    :param tree: the root tree; needed where something is filled. It isn't changed, but for missing mount points.
    :raises DebfleetError: with the partition's name where one is too small.
    """
    check(layout, disk.parent, *([tree] if tree else []))
    fills = [action for action in actions if "fill" in action.verb]
    shares: dict[str, Share] = {}
    if fills:
        if tree is None:
            raise ValueError("a tree is needed to fill a disk")
        make_mount_points(tree, layout)
        if (latest := epoch.given()) is not None:
            journal.log(f"+ {epoch.clamp(tree, latest)} files were newer than {epoch.NAME}")
        shares = census(tree, mounts(layout))
    for step, action in enumerate(actions):
        part = layout.named(action.name)
        journal.tell(_told(action, part), step, len(actions))
        if action.kind == VOLUME.kind:
            sparse.create(disk, layout.size)
        elif action.kind == MAP.kind:
            partition_map.write(disk, layout)
        elif part and part.filesystem and action.verb == "format":
            sparse.clear(disk, part.start, part.size)
            FILESYSTEMS[part.filesystem].make(disk, part)
        elif part and part.filesystem and part.mount and tree:
            share = shares[part.mount]
            tell_split(part, share)
            with masked(disk, tree, layout, part) as masks:
                FILESYSTEMS[part.filesystem].fill(disk, part, inside(tree, part.mount), masks, share)


def _told(action: Action, part: Partition | None) -> str:
    if part is None:
        return f"{action.verb} the {action.kind}"
    return f"{action.verb} {part.name} ({part.filesystem})"


def described(disk: Path, layout: Layout, state: DiskState) -> str:
    """A disk in a line for each partition, in a given state; where its map is another, as sfdisk tells it."""
    if state.volume == NONEXISTENT:
        return ""
    if state.map == WRITTEN:
        head = f"{layout.map} {layout.disk_uuid}, {shown(layout.size)}"
        rows = [
            f"{part.number} {part.name}: {shown(part.size)} at {shown(part.start)}, "
            f"{part.filesystem or '-'} {part.uuid}, {state.partitions[part.name]}"
            for part in layout.partitions
        ]
        return "\n".join([head, *rows]) + "\n"
    found = partition_map.read(disk) or {"label": "none", "id": "", "partitions": []}
    rows = [
        f"{number}: {shown(row['size'] * SECTOR)} at {shown(row['start'] * SECTOR)}, {row['type']}"
        for number, row in enumerate(found.get("partitions", []), 1)
    ]
    return "\n".join([f"{found['label']} {found['id']}, {shown(disk.stat().st_size)}", *rows]) + "\n"


def mounts(layout: Layout) -> list[str]:
    """Every mount point."""
    return [part.mount for part in layout.partitions if part.mount]


def inside(tree: Path, mount: str) -> Path:
    """A mount point's folder in the tree."""
    return tree / mount.lstrip("/")


def make_mount_points(tree: Path, layout: Layout) -> None:
    """Make the mount points that the tree lacks. Raises LayoutError where one is a link or no folder."""
    for mount in sorted(mounts(layout)):
        folder = inside(tree, mount)
        name = next(part.name for part in layout.partitions if part.mount == mount)
        if folder.resolve() != tree.resolve() / mount.lstrip("/") or (folder.exists() and not folder.is_dir()):
            raise LayoutError(f"{mount} is a link or no folder in the image", where=f"volume.partitions.{name}")
        folder.mkdir(parents=True, exist_ok=True)


def nested(layout: Layout, mount: str) -> list[str]:
    """The mount points right below one, without those below these."""
    prefix = mount.rstrip("/") + "/"
    below = sorted(other for other in mounts(layout) if other != mount and other.startswith(prefix))
    return [other for other in below if not any(other.startswith(f"{outer}/") for outer in below)]


@contextlib.contextmanager
def masked(disk: Path, tree: Path, layout: Layout, part: Partition) -> Iterator[Mapping[Path, Path]]:
    """An empty folder for each mount point right below a partition's, with the same owner, mode, times and xattrs."""
    with tempfile.TemporaryDirectory(prefix=f".{disk.name}.", dir=disk.parent) as folder:
        masks = {}
        for number, mount in enumerate(nested(layout, part.mount or "/")):
            hidden, empty = inside(tree, mount), Path(folder) / str(number)
            empty.mkdir()
            status = hidden.stat()
            shutil.chown(empty, status.st_uid, status.st_gid)
            shutil.copystat(hidden, empty)
            masks[hidden] = empty
        yield masks
