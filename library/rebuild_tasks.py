#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of tasks, generated."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rebuild_tasks
short_description: A list of tasks, made of the packages of suites
description:
  - Writes a list of tasks, JSON Lines with a task a line (schemas/task.json), longest first, as
    C(debfleet tasks generate) does; docs/tasks.md explains each option.
  - The list is written when it differs from what is there.
requirements:
  - debfleet, as the Python package, for the interpreter that runs the module
options:
  path:
    description: The file of the list. Its folder must be there.
    type: path
    required: true
  kind:
    description: What is done with each package.
    type: str
    default: rebuild
  suites:
    description: The suites whose packages are taken.
    type: list
    elements: str
    required: true
  architectures:
    description: Debian's names of the architectures; the one of the machine when empty.
    type: list
    elements: str
    default: []
  components:
    description: Components of the suites.
    type: list
    elements: str
    default: [main]
  mirror:
    description: Address of a mirror, or the folder of a local repository; the machine's own mirror when not given.
    type: str
  keyring:
    description: The key that signs it, where that isn't the archive's.
    type: path
  check_gpg:
    description: Whether the indices must be signed.
    type: bool
    default: true
  udd:
    description: DSN of UDD, to read packages from it and not from an index. Without a password.
    type: str
  states:
    description: With O(udd), only sources that wanna-build has in one of these states.
    type: list
    elements: str
    default: []
  packages:
    description: Only these packages, each by V(name) or V(name=version); all when empty.
    type: list
    elements: str
    default: []
  include:
    description: Only packages whose name fits one of these patterns.
    type: list
    elements: str
    default: []
  exclude:
    description: No packages whose name fits one of these patterns.
    type: list
    elements: str
    default: []
  shortest:
    description: Only tasks that are estimated to take at least so long, as V(30m).
    type: str
  longest:
    description: Only tasks that are estimated to take at most so long, as V(2h).
    type: str
  wanna_build:
    description: DSN of wanna-build's database, for build times. Without a password.
    type: str
  results:
    description: A folder with earlier results, for build times and needs of memory.
    type: path
  options:
    description: Options of the kind, for every task.
    type: dict
    default: {}
  requester:
    description: Who asks for the tasks.
    type: str
    default: ""
  cause:
    description: Why.
    type: str
    default: ""
attributes:
  check_mode:
    description: The list is made, and not written.
    support: full
  diff_mode:
    description: The lines that change.
    support: full
author:
  - debfleet (@debfleet)
"""

EXAMPLES = r"""
- name: Rebuild two packages with another compiler
  rebuild_tasks:
    path: build/tasks.jsonl
    suites: [sid]
    packages: [hello, tree]
    options:
      compiler: gcc-15

- name: Rebuild all libraries that take at most an hour
  rebuild_tasks:
    path: build/tasks.jsonl
    suites: [trixie]
    include: ["lib*"]
    longest: 1h
"""

RETURN = r"""
path:
  description: The file of the list.
  returned: success
  type: str
count:
  description: How many tasks it has.
  returned: success
  type: int
seconds:
  description: Their estimated seconds, all together.
  returned: success
  type: int
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debfleet.errors import DebfleetError
from ansible.module_utils.debfleet.run import raise_on_signals, run

PLAIN = ("kind", "mirror", "keyring", "udd", "shortest", "longest", "wanna_build", "results", "requester", "cause")
# The command's option for each of the module's that is a list.
LISTS = {
    "suites": "--suite", "architectures": "--arch", "components": "--component", "states": "--state",
    "packages": "--packages", "include": "--include", "exclude": "--exclude",
}  # fmt: skip


@dataclass(frozen=True)
class Params:
    """The module's options: the file, and those of the command."""

    path: Path
    given: dict[str, Any]

    def argv(self) -> list[str]:
        """The command that makes the list."""
        words = [f"--{name.replace('_', '-')}={self.given[name]}" for name in PLAIN if self.given[name]]
        words += [f"{option}={value}" for name, option in LISTS.items() for value in self.given[name]]
        words += [f"--option={name}={json.dumps(value)}" for name, value in self.given["options"].items()]
        words += [] if self.given["check_gpg"] else ["--no-check-gpg"]
        return [sys.executable, "-m", "debfleet", "--quiet", "tasks", "generate", *words]


def read_current(path: Path) -> str:
    """The list that is there; empty where there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def apply(path: Path, text: str) -> None:
    """Write the list whole. Raises DebfleetError when it can't be written."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise DebfleetError("could not write the list of tasks", where=str(path), why=str(error)) from error


def spec() -> dict[str, Any]:
    """The module's options, as in DOCUMENTATION."""
    texts = {"type": "list", "elements": "str"}
    return {
        "path": {"type": "path", "required": True},
        "kind": {"type": "str", "default": "rebuild"},
        "suites": {**texts, "required": True},
        "components": {**texts, "default": ["main"]},
        **{name: {**texts, "default": []} for name in ("architectures", "states", "packages", "include", "exclude")},
        **{name: {"type": "str"} for name in ("mirror", "udd", "shortest", "longest", "wanna_build")},
        **{name: {"type": "path"} for name in ("keyring", "results")},
        **{name: {"type": "str", "default": ""} for name in ("requester", "cause")},
        "check_gpg": {"type": "bool", "default": True},
        "options": {"type": "dict", "default": {}},
    }


def main() -> None:
    """Run the module."""
    raise_on_signals()
    module = AnsibleModule(argument_spec=spec(), supports_check_mode=True)
    params = Params(Path(module.params["path"]), module.params)
    try:
        before = read_current(params.path)
        after = run(params.argv()).stdout
        changed = before != after
        if changed and not module.check_mode:
            apply(params.path, after)
    except (DebfleetError, OSError) as error:
        module.fail_json(msg="could not make the tasks", exception=error)
    times = [json.loads(line).get("esttime", 0) for line in after.splitlines()]
    result = {"path": str(params.path), "count": len(times), "seconds": sum(times)}
    module.exit_json(changed=changed, diff={"before": before, "after": after}, **result)


if __name__ == "__main__":
    main()
