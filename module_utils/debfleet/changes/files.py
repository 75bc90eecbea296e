# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, folders and links of the tree."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import journal
from ..errors import DebfleetError
from . import copying
from .request import Tree, expect_keys, expect_list, expect_path

MODE = 0o644
FOLDER_MODE = 0o755
OWNERSHIP = {"mode", "owner", "group"}


def check_files(value: Any) -> None:
    """A list of {path, content or source, mode, owner, group}; a source is a file or folder of the builder."""
    expect_list(value, dict, "files")
    for item in value:
        expect_keys(item, {"path"}, {"content", "source", *OWNERSHIP})
        expect_path(item["path"])
        if ("content" in item) == ("source" in item):
            raise ValueError(f"{item['path']} needs either content or source")
        _check_mode(item)


def check_folders(value: Any) -> None:
    """A list of {path, mode, owner, group}."""
    expect_list(value, dict, "folders")
    for item in value:
        expect_keys(item, {"path"}, OWNERSHIP)
        expect_path(item["path"])
        _check_mode(item)


def check_links(value: Any) -> None:
    """A list of {path, target}: symbolic links, target as it is written into the link."""
    expect_list(value, dict, "links")
    for item in value:
        expect_keys(item, {"path", "target"}, set())
        expect_path(item["path"])


def check_patterns(value: Any) -> None:
    """A list of absolute paths with * and ?."""
    expect_list(value, str, "paths")
    for item in value:
        expect_path(item)


def _check_mode(item: Mapping[str, Any]) -> None:
    if item.get("mode") is not None:
        mode_of(item, 0)


def mode_of(item: Mapping[str, Any], default: int) -> int:
    """The mode that an item has in octal digits, or the default. Raises ValueError for one that is none."""
    mode = item.get("mode")
    if mode is None:
        return default
    try:
        return int(mode, 8) & 0o7777
    except (TypeError, ValueError):
        raise ValueError(f"{mode!r} is no mode; write octal digits in quotes, like '0644'") from None


def write_files(tree: Tree, value: list[dict[str, Any]]) -> None:
    """Write each file anew; folders above it are made. A source that is a folder is copied with all it holds."""
    for item in value:
        path = tree.path(item["path"])
        journal.log(f"+ write {item['path']}")
        _make_parents(tree, item["path"])
        if "content" in item:
            _replace(path, str(item["content"]).encode())
            path.chmod(mode_of(item, MODE))
        else:
            source = Path(item["source"])
            if source.is_dir():
                _copy_folder(tree, source, item)
                continue
            _replace(path, source.read_bytes())
            path.chmod(mode_of(item, stat.S_IMODE(source.stat().st_mode)))
        _own(tree, path, item)


def _copy_folder(tree: Tree, source: Path, item: Mapping[str, Any]) -> None:
    """Copy a folder with all it holds; owner and group are those of all that is copied, the mode that of the folder."""
    owner = lookup(tree, "passwd", item.get("owner") or "root")
    group = lookup(tree, "group", item.get("group") or "root")
    mode = mode_of(item, 0) if item.get("mode") is not None else None
    listed = [copying.Entry(source, item["path"], stat.S_IFDIR), *copying.entries(source, item["path"])]
    copying.check(tree, listed)
    copying.copy(tree, listed[0], copying.Ownership(owner, group, mode, named=True))
    for entry in listed[1:]:
        copying.copy(tree, entry, copying.Ownership(owner, group))


def _replace(path: Path, content: bytes) -> None:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.unlink()
    path.write_bytes(content)


def make_folders(tree: Tree, value: list[dict[str, Any]]) -> None:
    """Make each folder, and those above it; one that is there gets the mode and owner."""
    for item in value:
        journal.log(f"+ mkdir {item['path']}")
        _make_parents(tree, item["path"])
        path = tree.path(item["path"])
        path.mkdir(exist_ok=True)
        path.chmod(mode_of(item, FOLDER_MODE))
        _own(tree, path, item)


def make_links(tree: Tree, value: list[dict[str, Any]]) -> None:
    """Make each symbolic link, in place of what was there."""
    for item in value:
        journal.log(f"+ ln -s {item['target']} {item['path']}")
        _make_parents(tree, item["path"])
        path = tree.path(item["path"])
        path.unlink(missing_ok=True)
        path.symlink_to(item["target"])


def remove(tree: Tree, value: list[str]) -> None:
    """Remove all that matches, folders with what they hold."""
    for path in _matches(tree, value):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def empty(tree: Tree, value: list[str]) -> None:
    """Make every regular file that matches empty; its mode and owner stay."""
    for path in _matches(tree, value):
        if path.is_file() and not path.is_symlink():
            os.truncate(path, 0)


def _matches(tree: Tree, patterns: list[str]) -> list[Path]:
    found: list[Path] = []
    for pattern in patterns:
        journal.log(f"+ clean {pattern}")
        found += [path for path in sorted(tree.root.glob(pattern.lstrip("/"))) if path not in found]
    return [path for path in found if tree.path("/" + str(path.relative_to(tree.root))) == path]


def _make_parents(tree: Tree, inside: str) -> None:
    parents = list(Path(inside).parents)[:-1]
    for parent in reversed(parents):
        path = tree.path(str(parent))
        if not path.exists() and not path.is_symlink():
            path.mkdir()
            path.chmod(FOLDER_MODE)


def _own(tree: Tree, path: Path, item: Mapping[str, Any]) -> None:
    mode = path.lstat().st_mode
    owner = lookup(tree, "passwd", item.get("owner") or "root")
    os.chown(path, owner, lookup(tree, "group", item.get("group") or "root"), follow_symlinks=False)
    if not stat.S_ISLNK(mode):  # chown takes set-user-ID away
        path.chmod(stat.S_IMODE(mode))


def lookup(tree: Tree, database: str, name: str | int) -> int:
    """The number of a user (`passwd`) or group (`group`) of the tree, by name or number."""
    if str(name).isdigit():
        return int(name)
    if name == "root":
        return 0
    file = tree.root / "etc" / database
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2])
    raise DebfleetError(f"the image has no {'user' if database == 'passwd' else 'group'} {name}")
