# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of the tree."""

from __future__ import annotations

import re
from typing import Any

from ..namespace import run_in_root
from .files import make_folders, write_files
from .request import Tree, expect_keys, expect_list

OPTIONS = {"groups", "password-crypted", "authorized_keys", "shell", "comment"}
NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def check_users(value: Any) -> None:
    """A list of {name, groups, password-crypted, authorized_keys, shell, comment}."""
    expect_list(value, dict, "users")
    for user in value:
        expect_keys(user, {"name"}, OPTIONS)
        if not NAME.fullmatch(str(user["name"])):
            raise ValueError(f"{user['name']!r} is no user name")
        for key in ("groups", "authorized_keys"):
            expect_list(user.get(key) or [], str, key)
        if re.search(r"[:\n]", user.get("password-crypted") or ""):
            raise ValueError("password-crypted must be what crypt(3) gives")


def set_users(tree: Tree, value: list[dict[str, Any]]) -> None:
    """Add each user that isn't there (with a home and a group of its own, no password), then set what is given."""
    passwd = (tree.root / "etc/passwd").read_text(encoding="utf-8")
    known = {line.split(":")[0] for line in passwd.splitlines()}
    for user in value:
        name = user["name"]
        if name not in known:
            run_in_root(tree.root, ["useradd", "--create-home", "--user-group", "--shell", "/bin/bash", name])
        extra = [f"--shell={user['shell']}"] if user.get("shell") else []
        extra += [f"--comment={user['comment']}"] if user.get("comment") else []
        extra += ["--append", f"--groups={','.join(user['groups'])}"] if user.get("groups") else []
        if extra:
            run_in_root(tree.root, ["usermod", *extra, name])
        if user.get("password-crypted"):
            run_in_root(tree.root, ["chpasswd", "--encrypted"], stdin=f"{name}:{user['password-crypted']}\n")
        if user.get("authorized_keys"):
            _authorize(tree, name, user["authorized_keys"])


def _authorize(tree: Tree, name: str, keys: list[str]) -> None:
    passwd = (tree.root / "etc/passwd").read_text(encoding="utf-8")
    fields = next(line.split(":") for line in passwd.splitlines() if line.startswith(f"{name}:"))
    ownership = {"owner": name, "group": fields[3]}
    make_folders(tree, [{"path": f"{fields[5]}/.ssh", "mode": "0700", **ownership}])
    write_files(
        tree,
        [
            {
                "path": f"{fields[5]}/.ssh/authorized_keys",
                "content": "".join(key.strip() + "\n" for key in keys),
                "mode": "0600",
                **ownership,
            }
        ],
    )
