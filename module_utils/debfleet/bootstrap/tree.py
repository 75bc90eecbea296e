# SPDX-License-Identifier: GPL-3.0-or-later
"""A root tree from nothing: by mmdebstrap or debootstrap, or out of a tarball of an earlier one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from .. import epoch, journal
from ..answers import once
from ..bases import packing
from ..bases.fingerprint import of_parts, of_path
from ..binfmt import programs
from ..binfmt.programs import NATIVELY, Programs
from ..errors import DebfleetError
from ..ledger import cache_folder
from ..mounts import empty
from ..namespace import apart
from ..run import CommandError, find, run
from . import apt as apt_
from . import debootstrap, image, mmdebstrap, nearby, status
from .apt import NO_INITRAMFS, Apt
from .sources import parse_line
from .variant import Tree, base_set

MARKER = "bootstrap.json"
DATE = re.compile(r"^Date: (.+)$", re.MULTILINE)
KEEP_DAYS = 30
# Bind the tools for a tree of another architecture around a command: $1 is the tree, $2 and $3 are the scripts.
BOUND = 'root=$1 up=$2 down=$3; shift 3; sh -c "$up" sh "$root" && "$@" && sh -c "$down" sh "$root"'


@dataclass(frozen=True)
class How:
    """How a tree is made: the tool, what it may not check, and where a tarball of it is kept (True: in the cache)."""

    tool: str = "mmdebstrap"
    no_check: bool = False
    force_check: bool = False
    tarball: bool | str | None = None


def parts(tree: Tree, how: How, apt: Apt) -> dict[str, Any]:
    """What a tree depends on, by name: its inputs, and the state of the archive as its Release files have it."""
    return {
        "tool": f"{how.tool} {version(how.tool)}",
        **{name: value for name, value in asdict(tree).items() if name != "root"},
        "sources": list(apt.sources),
        "archive": archive_digest(apt),
        **({"locked": of_path(locked)} if (locked := apt.folder / apt_.LOCKED).exists() else {}),
        **epoch.variables(),
    }


def archive_digest(apt: Apt) -> str:
    """The state of the archive, in one word: changed whenever one of its Release files is."""
    releases = sorted((apt.folder / "lists").glob("*Release"))
    return hashlib.sha256(
        "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in releases).encode()
    ).hexdigest()


def released(apt: Apt) -> int:
    """When the newest of the archive's Release files was made, in seconds since 1970; 0 where none says it."""
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in (apt.folder / "lists").glob("*Release"))
    dates = [found[1] for text in texts if (found := DATE.search(text))]
    return max((int(parsedate_to_datetime(date).timestamp()) for date in dates), default=0)


def digest(tree: Tree, how: How, apt: Apt) -> str:
    """All that a tree depends on, in one word."""
    return of_parts(parts(tree, how, apt))


def version(tool: str) -> str:
    """The version of an installed bootstrap tool. Raises MissingError, naming its package."""
    find(tool, tool)
    return once(f"{tool} --version", lambda: run([tool, "--version"]).stdout).strip().rpartition(" ")[2]


def is_made(tree: Tree, wanted: str, folder: Path) -> bool:
    """Whether the tree is there already, made from these very inputs."""
    return _marker(tree, folder) == {"digest": wanted, "state": "made", **_identity(tree.root)}


def _identity(root: Path) -> dict[str, int]:
    try:
        stat = root.stat()
    except FileNotFoundError:
        return {"device": 0, "inode": 0}
    return {"device": stat.st_dev, "inode": stat.st_ino}


def _marker(tree: Tree, folder: Path) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _mark(tree: Tree, wanted: str, folder: Path, state: str) -> None:
    written = {"digest": wanted, "state": state, **_identity(tree.root)}
    (folder / MARKER).write_text(json.dumps(written), encoding="utf-8")


def make(tree: Tree, how: How, apt: Apt, earlier: Callable[[], None] | None = None) -> str:
    """Make the tree; on failure it is empty again. Returns how: the tool's name, or that a tarball was used.

    :param apt: with the indices got.
    :param earlier: puts an earlier tree there, to begin with; its packages are brought to the newest versions.
    :raises DebfleetError: also when the folder holds something that is not an earlier try of this build.
    """
    wanted = digest(tree, how, apt)
    _claim(tree, apt.folder)
    _mark(tree, wanted, apt.folder, "begun")
    kept = _tarball(how, wanted) if earlier is None else None
    try:
        if earlier:
            made = "earlier tree"
            earlier()
            _scrub_earlier(tree.root)
        elif kept and kept.exists():
            made = "tarball"
            _unpack(kept, tree)
        else:
            made = how.tool
            (_by_debootstrap if how.tool == "debootstrap" else _by_mmdebstrap)(tree, how, apt)
            image.scrub(tree.root)
            if kept:
                _pack(tree, kept)
    except BaseException:
        empty(tree.root)
        raise
    if earlier or how.tool == "debootstrap" or (made == "tarball" and isinstance(how.tarball, str)):
        apt_.install(tree.root, [], build=apt.folder.parent, upgrade=True)  # the pockets, and what came since
        (_scrub_earlier if earlier else image.scrub)(tree.root)
    return made


def _scrub_earlier(root: Path) -> None:
    """Scrub a tree that was an image: its resolver may be a link that systemd-resolved makes only once."""
    link = root / "etc/resolv.conf"
    target = link.readlink() if link.is_symlink() else None
    image.scrub(root)
    if target is not None:
        link.symlink_to(target)


def finish(tree: Tree, how: How, apt: Apt) -> None:
    """Write down that the tree is whole."""
    _mark(tree, digest(tree, how, apt), apt.folder, "made")


def _claim(tree: Tree, folder: Path) -> None:
    """Make the root an empty folder. What an earlier try of this build left in it goes; anything else is refused."""
    root = tree.root
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        marker = _marker(tree, folder)
        if {"device": marker.get("device"), "inode": marker.get("inode")} != _identity(root):
            raise DebfleetError(
                f"{root} is not empty, and no tree of this build",
                hint="name another folder, or empty it: nothing in it was touched",
            )
        empty(root)
    os.chown(root, 0, 0)
    root.chmod(0o755)


def _by_mmdebstrap(tree: Tree, how: How, apt: Apt) -> None:
    lists = nearby.chosen(apt, [*base_set(tree), *tree.include]).lists
    settings = [
        f'Dir::State::lists "{apt.folder / lists}";',
        f'Dir::Etc::preferencesparts "{apt.folder}/preferences.d";',
        'APT::Sandbox::User "root";',
        *(['Dir::Etc::netrc "/etc/apt/auth.conf";', 'Dir::Etc::netrcparts "/etc/apt/auth.conf.d";'] if apt.own else []),
        *(apt_.locked(apt) if (apt.folder / apt_.LOCKED).exists() else []),
        *apt.settings,
    ]
    conf = apt.folder / "mmdebstrap.conf"
    conf.write_text("\n".join(settings) + "\n", encoding="utf-8")
    sources = apt.folder / "mmdebstrap.list"
    sources.write_text("".join(f"{line}\n" for line in archive_lines(tree, apt)), encoding="utf-8")
    progress = mmdebstrap.Progress()
    mode = "root" if os.geteuid() == 0 else "unshare"
    runs = programs.decided(apt.folder.parent) or NATIVELY
    for name, text in mmdebstrap.hooks(runs.binds).items():
        (apt.folder / name).write_text(text, encoding="utf-8")
    command = mmdebstrap.argv(tree, sources, conf, mode=mode, tools=bool(runs.binds))
    _tool(command, progress.feed, runs=runs)


def archive_lines(tree: Tree, apt: Apt) -> list[str]:
    """The sources that a bootstrap is made from: the archive's suite and pockets, not the further repositories."""
    first = parse_line(apt.sources[0])
    suites = (first.suite, f"{first.suite}-updates", f"{first.suite}-security")
    keys = ("-security", "-updates", first.suite)
    return [
        line for line in apt.sources
        if (source := parse_line(line)).suite in suites and source.suite.endswith(keys)
        and (source.uri == first.uri or source.suite != first.suite)
    ]  # fmt: skip


def _by_debootstrap(tree: Tree, how: How, apt: Apt) -> None:
    first = parse_line(apt.sources[0])
    mirror = replace(first, uri=first.uri.replace("copy:", "file:", 1) if first.uri.startswith("copy:") else first.uri)
    progress = debootstrap.Progress()
    command = debootstrap.argv(tree, mirror, check=not how.no_check, force_check=how.force_check)
    proxy = apt_.proxy(apt.settings)  # it gets packages by wget, which knows nothing of apt's settings
    runs = programs.decided(apt.folder.parent) or NATIVELY
    if runs.binds:
        text = mmdebstrap.hooks(runs.binds)
        command = ["sh", "-c", BOUND, "sh", str(tree.root), text[mmdebstrap.BIND], text[mmdebstrap.UNBIND], *command]
    _tool(command, progress.feed, {"http_proxy": proxy} if proxy else {}, runs)


def _tool(
    command: Sequence[str],
    feed: Callable[[str], None],
    env: Mapping[str, str] | None = None,
    runs: Programs = NATIVELY,
) -> None:
    try:
        run(apart(command, runs), shown=command, env={**NO_INITRAMFS, **epoch.variables(), **(env or {})}, on_line=feed)
    except CommandError as error:
        raise DebfleetError(f"{command[0]} could not make the tree", why=status.reasons(error.output)) from error


def _tarball(how: How, wanted: str) -> Path | None:
    if isinstance(how.tarball, str) and how.tarball:
        return Path(how.tarball)
    return cache_folder() / "bootstrap" / f"{wanted[:32]}.{packing.ending()}" if how.tarball is True else None


def _unpack(tarball: Path, tree: Tree) -> None:
    journal.tell(f"bootstrap: unpacking {tarball.name}")
    os.utime(tarball)
    packing.unpack(tarball, tree.root)
    if not (tree.root / "var/lib/dpkg/status").exists():
        hint = "remove it: it is made anew"
        raise DebfleetError(f"{tarball} holds no Debian tree", where="bootstrapper.tarball", hint=hint)


def _pack(tree: Tree, tarball: Path) -> None:
    journal.tell(f"bootstrap: keeping the tree in {tarball.name}")
    tarball.parent.mkdir(parents=True, exist_ok=True)
    packing.pack(tree.root, tarball)
    old = time.time() - KEEP_DAYS * 86400
    if tarball.parent == cache_folder() / "bootstrap":
        for other in tarball.parent.iterdir():
            if other.stat().st_mtime < old:
                other.unlink(missing_ok=True)
