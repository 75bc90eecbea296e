# SPDX-License-Identifier: GPL-3.0-or-later
"""ext2, ext3 and ext4, made in place together with their content by ``mke2fs -d``.

Kept are owners, modes, hard links, holes, xattrs, capabilities, ACLs, device nodes, fifos, sockets and odd names. Lost
are nanoseconds of times, times after 2038, and inode flags (before mke2fs 1.47.4). The root inode's mode, owner and
time, which mke2fs leaves out, are set by debugfs.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import epoch
from ..errors import DebfleetError
from ..run import CommandError, run
from ..sizes import shown
from . import inode_times, sparse
from .census import Share
from .filling import no_room, run_masked, times, too_small
from .shape import LayoutError, Partition
from .tools import command, read_at, require_uuid, uuid_text

INODE = 256
SMALL = 512 << 20  # below, mke2fs takes its type `small`: one inode for 4 KiB, else for 16 KiB
RESERVED_INODES = 11
PROGRAMS = ("mkfs.ext2", "mkfs.ext3", "mkfs.ext4", "mke2fs")
FULL = ("Could not allocate", "No free space", "too small", "not enough space")
HOST_FULL = "No space left on device"


@dataclass(frozen=True)
class Ext:
    """A filesystem of the ext family."""

    name: str
    made_empty: bool = False
    packages: tuple[str, ...] = ("e2fsprogs",)
    least: int = 0

    def make(self, disk: Path, part: Partition) -> None:
        """It is made when it is filled."""
        raise NotImplementedError

    def fill(self, disk: Path, part: Partition, source: Path, masks: Mapping[Path, Path], share: Share) -> None:
        """Make it at its offset with the content of a folder. Raises DebfleetError where that doesn't fit."""
        self._check_room(part, share)
        status = source.stat()
        extended = [f"root_owner={status.st_uid}:{status.st_gid}", f"hash_seed={part.uuid}", "nodiscard"]
        options = ["-q", "-F", "-U", part.uuid, "-L", part.label, "-d", str(source)]
        sparse.clear(disk, part.start, part.size)
        try:
            if part.format_command:
                self._fill_by_command(disk, part, [*options, "-E", ",".join(extended)], masks)
            else:
                extended += ["assume_storage_prezeroed=1", f"offset={part.start}"]
                options += ["-O", ",".join(part.features)] if part.features else []
                options += ["-t", self.name, "-E", ",".join(extended), *self._inodes(part, share)]
                run_masked(["mke2fs", *options, str(disk), f"{part.size // 1024}k"], masks)
        except CommandError as error:
            raise _explained(error, part, share) from error
        self._mend_root(disk, part, source)
        if (seconds := epoch.given()) is not None:
            inode_times.unify(disk, part, seconds)

    def uuid(self, disk: Path, part: Partition) -> str | None:
        """The UUID in its superblock."""
        head = read_at(disk, part.start + 1024, 128)
        return uuid_text(head[104:120]) if head[56:58] == b"\x53\xef" else None

    def _fill_by_command(self, disk: Path, part: Partition, options: list[str], masks: Mapping[Path, Path]) -> None:
        with sparse.beside(disk, part.size) as file:
            program, *words = command(part, file)
            if Path(program).name not in PROGRAMS:
                raise LayoutError(
                    f"the format_command of {part.name} is {program}, which can't fill what it makes",
                    where=f"volume.partitions.{part.name}.format_command",
                    hint=f"for {self.name} it has to begin with {' or '.join(PROGRAMS)}",
                )
            run_masked([program, *options, *words], masks)
            sparse.splice(file, disk, part.start)
        require_uuid(self.uuid(disk, part), part)

    def _inodes(self, part: Partition, share: Share) -> list[str]:
        """The option for more inodes than mke2fs would make, where the tree has so many small files."""
        return ["-N", str(self._inode_count(part, share))] if share.inodes * 5 // 4 > _default_inodes(part.size) else []

    def _inode_count(self, part: Partition, share: Share) -> int:
        return max(_default_inodes(part.size), share.inodes * 5 // 4 + RESERVED_INODES)

    def _check_room(self, part: Partition, share: Share) -> None:
        """Raise DebfleetError where even the least that the tree needs is more than the partition has."""
        journal_size = 0 if self.name == "ext2" else _journal_size(part.size)
        least = share.data + self._inode_count(part, share) * INODE + journal_size
        if least > part.size:
            raise too_small(part, share, f"with the filesystem's own tables it needs at least {shown(least)}")

    def _mend_root(self, disk: Path, part: Partition, source: Path) -> None:
        """Give the root inode the mode, owner and time that it shall have."""
        status = source.stat()
        mode = int(part.mode, 8) if part.mode else stat.S_IMODE(status.st_mode)
        seconds, nanoseconds = divmod(status.st_mtime_ns, 10**9)
        fields = {
            "mode": f"0{stat.S_IFDIR | mode:o}",
            "uid": status.st_uid,
            "gid": status.st_gid,
            "mtime": f"@{min(max(seconds, 0), 2**31 - 1)}",
            "mtime_extra": nanoseconds << 2,
        }
        if _inode_size(disk, part) <= 128:
            del fields["mtime_extra"]
        script = "".join(f"set_inode_field <2> {field} {value}\n" for field, value in fields.items())
        done = run(["debugfs", "-w", "-f", "-", f"{disk}?offset={part.start}"], stdin=script, env=times())
        said = [line for line in done.stderr.splitlines() if not line.startswith("debugfs 1")]
        if said:
            raise DebfleetError(f"could not set the mode of {part.mount}", why="\n".join(said))


def _inode_size(disk: Path, part: Partition) -> int:
    return int.from_bytes(read_at(disk, part.start + 1024 + 88, 2), "little")


def _default_inodes(size: int) -> int:
    return size // (4096 if size < SMALL else 16384)


def _journal_size(size: int) -> int:
    """The journal that mke2fs makes by itself, at the least."""
    block = 1024 if size < SMALL else 4096
    blocks = size // block
    for limit, count in ((2048, 0), (32768, 1024), (262144, 4096), (524288, 8192)):
        if blocks < limit:
            return count * block
    return 16384 * block


def _explained(error: CommandError, part: Partition, share: Share) -> DebfleetError:
    """What a failed mke2fs means."""
    if HOST_FULL in error.output:
        return no_room(error.why)
    if any(text in error.output for text in FULL):
        return too_small(part, share, error.output.strip().splitlines()[-1])
    return DebfleetError(f"could not make the {part.filesystem} of {part.name}", why=str(error))
