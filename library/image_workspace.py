#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work folder of an image build."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_workspace
short_description: The work folder of an image build
description:
  - Makes the folder in which an image is built, with a ledger of all that the build holds, and releases all of it
    again.
  - When the owning process ends without releasing, however it ended, a small process left behind does it; what even
    that could not do, the next build does first.
options:
  state:
    description:
      - C(present) makes the work folder, after releasing what builds that were killed have left behind.
      - C(tree) makes the folder for the root tree, in memory where it fits.
      - C(absent) releases all that the build holds.
    type: str
    choices: [present, tree, absent]
    default: present
  build_id:
    description: Name of the build, unlike that of any other build.
    type: str
    required: true
  path:
    description: The work folder.
    type: path
    required: true
  failed_log:
    description: Where the log is kept when the build fails.
    type: path
    required: true
  owner:
    description: Process number of the ansible-playbook that builds. Needed for C(state=present).
    type: int
  installed_size:
    description: Bytes that the packages take once installed. Needed for C(state=tree).
    type: int
    default: 0
  in_memory:
    description: Whether C(state=tree) fails where the tree does not fit into memory; else it takes the work folder.
    type: bool
    default: false
  build:
    description: Folder of the running build, where its log, progress and ledger live. Playbooks need not give it.
    type: path
attributes:
  check_mode:
    description: Makes and releases nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
author:
  - debfleet (@debfleet)
"""

EXAMPLES = r"""
- name: Make the work folder
  image_workspace:
    build_id: kvm-amd64-1f3a
    path: build/.kvm-amd64-1f3a
    failed_log: build/kvm-amd64.failed.log
    owner: 4711

- name: Release all that the build holds
  image_workspace:
    state: absent
    build_id: kvm-amd64-1f3a
    path: build/.kvm-amd64-1f3a
    failed_log: build/kvm-amd64.failed.log
"""

RETURN = r"""
root:
  description: The folder for the root tree.
  returned: for C(state=tree)
  type: str
log:
  description: The log of the running build.
  returned: for C(state=present), unless in check mode
  type: str
failed_log:
  description: Where the log will be kept if the build fails.
  returned: for C(state=present), unless in check mode
  type: str
healed:
  description: What earlier builds had left behind and was released.
  returned: for C(state=present)
  type: list
  elements: str
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debfleet import journal
from ansible.module_utils.debfleet.errors import DebfleetError
from ansible.module_utils.debfleet.run import raise_on_signals
from ansible.module_utils.debfleet.workspace import Workspace

ACTION = {"present": "make the work folder", "tree": "make room for the tree", "absent": "release the build"}


@dataclass(frozen=True)
class Params:
    """The module's options."""

    state: str
    build_id: str
    path: str
    failed_log: str
    owner: int | None
    installed_size: int
    in_memory: bool
    build: str | None


def apply(params: Params, check_mode: bool) -> dict[str, Any]:
    """Bring the workspace to the state that is wanted."""
    path = Path(params.path).absolute()
    workspace = Workspace(params.build_id, path, Path(params.failed_log).absolute())
    if params.state == "tree":
        if check_mode:
            return {"changed": True, "root": str(path / "root")}
        return {"changed": True, "root": str(workspace.tree(params.installed_size, in_memory=params.in_memory))}
    if params.state == "present":
        if check_mode:
            return {"changed": True, "healed": []}
        healed = workspace.present(params.owner or 0)
        log = str(workspace.work / journal.LOG)
        return {"changed": True, "healed": healed, "log": log, "failed_log": str(workspace.failed_log)}
    there = path.exists()
    if there and not check_mode:
        workspace.absent()
    return {"changed": there}


def main() -> None:
    """Run the module."""
    raise_on_signals()
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["present", "tree", "absent"], "default": "present"},
            "build_id": {"required": True},
            "path": {"type": "path", "required": True},
            "failed_log": {"type": "path", "required": True},
            "owner": {"type": "int"},
            "installed_size": {"type": "int", "default": 0},
            "in_memory": {"type": "bool", "default": False},
            "build": {"type": "path"},
        },
        required_if=[("state", "present", ["owner"])],
        supports_check_mode=True,
    )
    params = Params(**module.params)
    try:
        result = apply(params, module.check_mode)
    except DebfleetError as error:
        module.fail_json(msg=f"could not {ACTION[params.state]}", exception=error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
