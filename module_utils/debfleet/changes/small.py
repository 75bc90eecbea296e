# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpkg leaves out of the tree, and how small the finished file shall be."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from .. import journal, savings
from ..disk.shrink import WAYS, Shrink
from .request import Tree, expect_keys, expect_list, expect_path

DPKG = "/etc/dpkg/dpkg.cfg.d"
WILD = re.compile(r"[*?\[\\]")
KIB = 1024
STANZA = re.compile(r"^Package: (\S+)\nStatus: install ok installed$", re.MULTILINE)


def check_filter(value: Any) -> None:
    """{name, exclude, include}: the name of dpkg's file, and its path-exclude and path-include patterns in order."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a mapping of name, exclude and include, not {value!r}")
    expect_keys(value, {"name", "exclude"}, {"include"})
    for key in ("exclude", "include"):
        expect_list(value.get(key, []), str, "patterns of paths")
        for pattern in value.get(key, []):
            expect_path(pattern)


def set_filter(tree: Tree, value: Mapping[str, Any]) -> None:
    """Let dpkg leave paths out from now on, in the image too, and remove those that are there already.

    The saving is noted, by dpkg's own reckoning.
    """
    exclude, include = value["exclude"], value.get("include", [])
    if not exclude:
        return
    text = "".join(f"path-exclude={one}\n" for one in exclude) + "".join(f"path-include={one}\n" for one in include)
    path = tree.path(f"{DPKG}/{value['name']}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)

    def stays(inside: str) -> bool:
        return any(fnmatchcase(inside, one) for one in include)

    def out(inside: str) -> bool:
        return any(fnmatchcase(inside, one) for one in exclude) and not stays(inside)

    count = sum(_remove(tree, top, out, stays) for top in sorted({_fixed(pattern) for pattern in exclude}))
    journal.log(f"+ remove what dpkg leaves out: {count} files")
    before, missing = reckoned(tree.root, out)
    savings.note(tree.build, "dpkg", before, before - missing)


def _remove(tree: Tree, top: str, out: Callable[[str], bool], stays: Callable[[str], bool]) -> int:
    """Remove all that is left out below a folder of the tree; returns how many files.

    Links that lead somewhere stay, as dpkg keeps them: the copyright of many packages is another's.
    """
    files: list[Path] = []
    links: list[Path] = []
    folders: list[Path] = []
    for at, names, others in os.walk(tree.root / top.lstrip("/"), topdown=False):
        for path in (Path(at) / name for name in (*others, *names)):
            inside = f"/{path.relative_to(tree.root)}"
            if path.is_dir() and not path.is_symlink():
                folders += [path] if out(inside) or (out(f"{inside}/x") and not stays(inside)) else []
            elif out(inside):
                (links if path.is_symlink() else files).append(path)
    for path in files:
        path.unlink()
    for path in links:
        if not _leads_somewhere(tree, f"/{path.relative_to(tree.root)}"):
            path.unlink()
    for path in folders:
        if not any(path.iterdir()):
            path.rmdir()
    return len(files)


def _leads_somewhere(tree: Tree, inside: str) -> bool:
    """Whether a link of the tree, followed as the tree sees it, ends at something."""
    for _ in range(40):
        path = tree.path(inside)
        if not path.is_symlink():
            return path.exists()
        inside = os.path.normpath(PurePosixPath(inside).parent / path.readlink())
    return False


def _fixed(pattern: str) -> str:
    """The folder above the first wildcard of a pattern."""
    match = WILD.search(pattern)
    return str(PurePosixPath(pattern[: match.start()] + "x").parent) if match else str(PurePosixPath(pattern).parent)


def reckoned(root: Path, out: Callable[[str], bool]) -> tuple[int, int]:
    """Bytes of all installed packages by their own reckoning (Installed-Size), and of what of them is left out.

    What a package lacks is its Installed-Size less what of it is there, each file rounded up to a KiB and all else
    taken for one, as dpkg-gencontrol counts.
    """
    total = missing = 0
    for lists, size in _packages(root):
        total += size
        paths = [line for path in lists for line in path.read_text(encoding="utf-8").splitlines() if line != "/."]
        gone = [one for one in paths if out(one) and not os.path.lexists(root / one.lstrip("/"))]
        if gone:
            there = sum(_kib(root / one.lstrip("/")) for one in paths)
            missing += min(size, max(len(gone), size // KIB - there) * KIB)
    return total, missing


def _packages(root: Path) -> Iterator[tuple[list[Path], int]]:
    """The lists of paths of each installed package, and its Installed-Size in bytes."""
    known: dict[str, list[Path]] = {}
    for path in (root / "var/lib/dpkg/info").glob("*.list"):
        known.setdefault(path.stem.partition(":")[0], []).append(path)
    text = (root / "var/lib/dpkg/status").read_text(encoding="utf-8", errors="replace")
    for stanza in text.split("\n\n"):
        if found := STANZA.search(stanza):
            size = re.search(r"^Installed-Size: (\d+)$", stanza, re.MULTILINE)
            yield known.get(found[1], []), int(size[1]) * KIB if size else 0


def _kib(path: Path) -> int:
    try:
        stat = path.lstat()
    except OSError:
        return 0
    return -(-stat.st_size // KIB) if path.is_file() and not path.is_symlink() else 1


def check_shrink(value: Any) -> None:
    """{how, compression, zerofree}."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a mapping of how, compression and zerofree, not {value!r}")
    expect_keys(value, {"how"}, {"compression", "zerofree"})
    if value["how"] not in WAYS:
        raise ValueError(f"{value['how']!r} is no way to shrink; there are {', '.join(map(str, WAYS))}")


def set_shrink(tree: Tree, value: Mapping[str, Any]) -> None:
    """Leave word for the step that writes the image."""
    if tree.build:
        Shrink(value["how"], value.get("compression") or "", bool(value.get("zerofree"))).save(tree.build)
