# SPDX-License-Identifier: GPL-3.0-or-later
"""The root tree of an earlier image, or a tree in a folder, copied: what another build may begin with."""

from __future__ import annotations

import re
from pathlib import Path

from .. import journal
from ..errors import DebfleetError
from ..run import run
from .host import Host
from .reader import opened
from .root import Root

MACHINES = "dev", "proc", "run", "sys", "lost+found"  # what belongs to a running system, or to a filesystem


def copy(source: Path, target: Path, *, codename: str, architecture: str, scratch: Path | None) -> None:
    """Copy the tree that a folder, an image file or a build's folder holds into an empty folder.

    :param codename: the suite's; a tree of another is refused.
    :param architecture: Debian's name; a tree of another is refused.
    :param scratch: the folder of a running build.
    :raises DebfleetError: where there is no Debian tree, or not the one that is wanted.
    """
    with opened(source, None, Host(), scratch) as subject:
        if not subject.has_root:
            why = "\n".join(subject.unread)
            raise DebfleetError(f"{source} holds no Debian tree", where="plugins.prebootstrapped", why=why)
        _refuse_others(subject.root, source, codename, architecture)
        journal.tell(f"bootstrap: copying {source.name}")
        apart = [] if subject.parts else ["--one-file-system"]
        run(["cp", "--archive", "--sparse=auto", *apart, f"{subject.root.top}/.", target])
    for name in MACHINES:
        folder = target / name
        if folder.is_dir() and not folder.is_symlink():
            run(["find", folder, "-mindepth", "1", "-delete"])
    if (target / "lost+found").is_dir():
        (target / "lost+found").rmdir()


def _refuse_others(root: Root, source: Path, codename: str, architecture: str) -> None:
    release = re.search(r"^VERSION_CODENAME=(\S+)$", root.text("/etc/os-release") or "", re.MULTILINE)
    status = root.text("/var/lib/dpkg/status") or ""
    dpkg = re.search(r"^Package: dpkg\n(?:.+\n)*?Architecture: (\S+)$", status, re.MULTILINE)
    if dpkg is None:
        raise DebfleetError(f"{source} holds no Debian tree", where="plugins.prebootstrapped", why="dpkg isn't in it")
    found = (release[1] if release else "", dpkg[1])
    if dpkg[1] != architecture or (found[0] != codename and codename != "sid"):  # sid has the next release's name
        raise DebfleetError(
            f"{source} is no tree of {codename} for {architecture}",
            where="plugins.prebootstrapped",
            why=f"it is of {found[0] or 'no release'} for {found[1]}",
        )
