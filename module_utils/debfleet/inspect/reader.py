# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening any image for reading: nothing is ever mounted writable, and nothing outlives this process but files."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import userns
from ..errors import DebfleetError, MissingError
from ..ledger import Ledger
from ..process import Process
from ..run import run
from ..workspace import RESERVE, memory_free
from . import disk, dumped, fstab
from .asked import Asked
from .host import Host
from .mounts import FILESYSTEMS, Mounts, private
from .root import Root
from .subject import Filesystem, Part, Subject

NOT_MOUNTED = {"swap", "vfat"}  # looked at in other ways
LENIENT = {"MTOOLS_SKIP_CHECK": "1"}  # other tools lay FAT out in ways that mtools frowns on
SUBVOLUMES = ("", "@rootfs", "@")  # where a btrfs may have its root


@contextlib.contextmanager
def scratch_folder(parent: Path | None) -> Iterator[Path]:
    """A temporary folder: in the folder of a build, which is in the build's ledger, or one with a ledger of its own."""
    if parent:
        with tempfile.TemporaryDirectory(prefix="inspect.", dir=parent) as folder:
            yield Path(folder)
        return
    pid = os.getpid()
    folder_path = Path(os.environ.get("TMPDIR") or "/var/tmp") / f"debfleet-inspect.{pid}.{os.urandom(4).hex()}"
    ledger = Ledger.open(f"inspect.{pid}.{folder_path.suffix[1:]}", Process.of(pid))
    try:
        ledger.add("folder", path=str(folder_path))
        folder_path.mkdir(0o700)
        yield folder_path
    finally:
        ledger.release()


@contextlib.contextmanager
def opened(path: Path, manifest: Mapping[str, Any] | None, host: Host, scratch: Path | None) -> Iterator[Subject]:
    """Open an image: a file of any format that qemu-img reads, a build's folder, or a root tree.

    Raises DebfleetError where there is no image, and MissingError where a tool or a right is missing. What is on the
    image and can't be read is in `unread` of what is yielded.
    """
    asked = Asked(manifest or {})
    if is_tree(path):
        yield Subject(Root(path), asked, host)
        return
    image = disk.find_image(path)
    with scratch_folder(scratch) as work:
        raw = disk.as_raw(image.resolve(), work)
        found, unread = disk.filesystems(raw)
        place = work / "mnt"
        place.mkdir()
        with private(place) as mounts:
            mounted, more = _mounted(mounts, raw, found, work)
            unread += more
            subject = Subject(Root(place), asked, host, raw, found, _esp_files(raw, found, unread), work, unread)
            top = _root_of(mounts, mounted)
            if top is None:
                unread.append("the root filesystem: none of the filesystems has etc/os-release")
                yield replace(subject, has_root=False)
                return
            root = Root(top)
            parts = (Part("/", mounts.inside(top)), *_assemble(mounts, root, mounted, unread))
            yield replace(subject, root=root, holder=mounts.pid, parts=parts)


def is_tree(path: Path) -> bool:
    """Whether a path is the root of a Debian system, and no image."""
    return (path / "var/lib/dpkg").is_dir() and (path / "etc").is_dir()


def _mounted(mounts: Mounts, raw: Path, found: list[Filesystem], work: Path) -> tuple[dict[int, Filesystem], list[str]]:
    """Mount what can be: the mounted filesystems by number, and what could not be read."""
    mounted: dict[int, Filesystem] = {}
    unread = []
    for one in found:
        if one.kind in FILESYSTEMS:
            try:
                unread += [f"{one}: {why}" for why in _shown(mounts, raw, one, work)]
                mounted[one.number] = one
            except DebfleetError as error:
                unread.append(f"{one}: {error.why or error.what}")
        elif one.kind not in NOT_MOUNTED and (one.kind or not disk.empty(raw, one)):
            unread.append(str(one))
    return mounted, unread


def _shown(mounts: Mounts, raw: Path, one: Filesystem, work: Path) -> list[str]:
    """Let a filesystem's files be seen under its number. Returns what of it can't be, where it can't be mounted."""
    name = str(one.number)
    if not userns.limited():
        mounts.mount(raw, one, name)
        return []
    if not one.kind.startswith("ext"):
        raise MissingError("only root can mount it, and nothing else reads it whole")
    if one.size < memory_free() - RESERVE:
        return dumped.write_out(raw, one, mounts.memory(name))
    folder = work / f"files.{name}"
    folder.mkdir(mode=0o700)
    unread = dumped.write_out(raw, one, folder)
    mounts.show(folder, name)
    return unread


def _root_of(mounts: Mounts, mounted: Mapping[int, Filesystem]) -> Path | None:
    """The root of the system: it has os-release, and rather an fstab as well."""
    tops = [mounts.path(str(number)) / sub for number in mounted for sub in SUBVOLUMES]
    systems = [top for top in tops if any(os.path.lexists(top / f) for f in ("etc/os-release", "usr/lib/os-release"))]
    return next((top for top in systems if os.path.lexists(top / "etc/fstab")), systems[0] if systems else None)


def _assemble(mounts: Mounts, root: Root, mounted: Mapping[int, Filesystem], unread: list[str]) -> list[Part]:
    """Show the further filesystems below the root, where its fstab mounts them. Returns them, outermost first."""
    parts: list[Part] = []
    lines = fstab.entries(root.text("/etc/fstab") or "")
    for spec, where, _kind, _options in sorted(lines, key=lambda line: line[1].count("/") if line[1] != "/" else 0):
        one = fstab.named(spec, list(mounted.values()))
        if one is None or where in ("/", "none", "swap") or mounts.path(str(one.number)) == root.top:
            continue
        onto = root.locate(where)
        if onto is None:
            unread.append(f"{one}: its mount point {where} is not there")
            continue
        mounts.bind(str(one.number), onto)
        parts.append(Part(f"/{onto.relative_to(root.top)}", mounts.place / str(one.number)))
    return parts


def _esp_files(raw: Path, found: list[Filesystem], unread: list[str]) -> list[str]:
    """The paths of all files in FAT filesystems of the disk."""
    files: list[str] = []
    for one in found:
        if one.kind == "vfat":
            listed = run(["mdir", "-/", "-b", "-i", f"{raw}@@{one.start}", "::"], env=LENIENT, check=False)
            if listed.returncode:
                unread.append(f"{one}: {listed.stderr.strip()}")
            files += [line.removeprefix("::") for line in listed.stdout.splitlines() if not line.endswith("/")]
    return files
