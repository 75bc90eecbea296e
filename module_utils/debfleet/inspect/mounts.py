# SPDX-License-Identifier: GPL-3.0-or-later
"""Filesystems of an image mounted read only where nobody else sees them.

A process of ours holds a mount namespace and waits on a pipe; we look through /proc/PID/root. When we die, however we
die, the pipe closes, the process ends, and with it go the mounts and the loop devices (which are autoclear).
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ..errors import MissingError
from ..run import end_group, find, run
from .subject import Filesystem

OPTIONS = "ro,nosuid,nodev,noexec"
# What a filesystem needs besides, so that mounting it writes nothing: no replay of its journal.
FILESYSTEMS = {"ext2": "", "ext3": ",noload", "ext4": ",noload", "xfs": ",norecovery,nouuid", "btrfs": ""}
HOLD = 'mount -t tmpfs -o mode=0700,size=1m tmpfs "$1" && echo ready && exec cat'


class Mounts:
    """A private mount namespace with a small folder at `place` to mount in.

    :param pid: of the process that holds it.
    """

    def __init__(self, pid: int, place: Path) -> None:
        self.pid, self.place = pid, place

    def path(self, name: str) -> Path:
        """Where we see what is mounted under this name."""
        return Path(f"/proc/{self.pid}/root") / self.place.relative_to("/") / name

    def inside(self, path: Path) -> Path:
        """What we see at this path, as the namespace's own processes see it."""
        return Path("/") / path.relative_to(f"/proc/{self.pid}/root")

    def _inside(self, *argv: str | Path) -> None:
        # --root: in a chroot, the namespace's own root is another than ours.
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--root", "--wd", "--"]
        run([*enter, *argv], shown=[str(word) for word in argv])

    def mount(self, raw: Path, found: Filesystem, name: str) -> Path:
        """Mount a filesystem of the disk read only. Raises CommandError where the kernel can't."""
        options = f"{OPTIONS}{FILESYSTEMS[found.kind]},loop,offset={found.start},sizelimit={found.size}"
        self.path(name).mkdir()
        self._inside("mount", "-t", found.kind, "-o", options, raw, self.place / name)
        return self.path(name)

    def show(self, folder: Path, name: str) -> Path:
        """Show a folder of the host under this name. Raises CommandError where that can't be."""
        self.path(name).mkdir()
        self._inside("mount", "--bind", folder, self.place / name)
        return self.path(name)

    def memory(self, name: str) -> Path:
        """Show an empty folder in memory under this name, gone with the namespace. Raises CommandError."""
        self.path(name).mkdir()
        self._inside("mount", "-t", "tmpfs", "-o", "mode=0755,size=100%", "tmpfs", self.place / name)
        return self.path(name)

    def bind(self, name: str, onto: Path) -> None:
        """Show what is mounted under this name at a further place, given as we see it."""
        self._inside("mount", "--bind", self.place / name, self.inside(onto))


@contextlib.contextmanager
def private(place: Path) -> Iterator[Mounts]:
    """A private mount namespace, gone at the end of the block or of this process. Raises MissingError without root."""
    hold = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", HOLD, "sh", str(place)]
    command = [find("setpriv"), "--pdeathsig", "KILL", "--", *hold]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        if process.stdout.readline() != b"ready\n":
            why = process.stderr.read().decode(errors="replace")
            raise MissingError("could not mount the image", why=why, hint="reading an image needs root: sudo")
        yield Mounts(process.pid, place)
    finally:
        end_group(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
