# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory tree of the builder laid over the root."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .. import journal
from ..errors import DebfleetError
from . import copying
from .copying import Entry, Ownership
from .files import OWNERSHIP, lookup, mode_of
from .request import Tree, expect_keys, expect_list, expect_path


def check_overlay(value: Any) -> None:
    """{source, owner, group, rules: [{path, mode, owner, group}]}: `path` with * and ?, which match slashes too; of
    the rules that match, the last that says something counts.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a mapping with source, not {value!r}")
    expect_keys(value, {"source"}, {"owner", "group", "rules"})
    rules = value.get("rules") or []
    expect_list(rules, dict, "rules")
    for rule in rules:
        expect_keys(rule, {"path"}, OWNERSHIP)
        expect_path(rule["path"])
        mode_of(rule, 0)


def lay_over(tree: Tree, value: Mapping[str, Any]) -> None:
    """Copy all below the source to the same place of the root."""
    source, rules = Path(value["source"]), value.get("rules") or []
    if not source.is_dir():
        raise DebfleetError(f"there is no folder {source}")
    listed = list(copying.entries(source, "/"))
    copying.check(tree, listed)
    journal.log(f"+ lay {len(listed)} files and folders of {source} over the root")
    unmatched = [rule["path"] for rule in rules if not any(_matches(rule, entry) for entry in listed)]
    if unmatched:
        raise DebfleetError(f"{source} has nothing that is {' or '.join(unmatched)}", hint="mend the rule's path")
    for entry in listed:
        copying.copy(tree, entry, _ownership(tree, entry, value))


def _ownership(tree: Tree, entry: Entry, value: Mapping[str, Any]) -> Ownership:
    """The overlay's owner and group, and over them what each rule that matches says, in order."""
    said: dict[str, Any] = {}
    for rule in value.get("rules") or []:
        if _matches(rule, entry):
            said.update({key: rule[key] for key in OWNERSHIP if rule.get(key) is not None})
    owner = said.get("owner") or value.get("owner") or "root"
    group = said.get("group") or value.get("group") or "root"
    mode = mode_of(said, 0) if "mode" in said else None
    return Ownership(lookup(tree, "passwd", owner), lookup(tree, "group", group), mode, named=bool(said))


def _matches(rule: Mapping[str, Any], entry: Entry) -> bool:
    return fnmatchcase(entry.inside, rule["path"])
