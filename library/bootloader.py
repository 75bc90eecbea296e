#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bootloader of an image."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bootloader
short_description: The bootloader of an image
description:
  - Puts a bootloader into the disk of an image. grub and systemd-boot are written in their places, without loop devices
    and without running anything of the image.
  - extlinux is the image's own, run on its filesystem, which is mounted by a loop device in a namespace of its own.
  - Its configuration has to be in the tree before the tree is written to the disk; an image build does that, or
    C(state=configured).
options:
  state:
    description:
      - C(configured) writes the bootloader's configuration, modules and core images into O(tree), always anew.
      - C(installed) puts it into O(disk), unless it is there.
    type: str
    choices: [configured, installed]
    default: installed
  disk:
    description: The disk's file, filled by C(image_disk). Needed for C(state=installed).
    type: path
  tree:
    description: The root tree that the disk was filled with, or will be.
    type: path
    required: true
  layout:
    description: The disk's layout, as C(image_disk) returned it.
    type: dict
    required: true
  system:
    description: The manifest's C(system) section; C(architecture), C(firmware) and C(bootloader) are read.
    type: dict
    required: true
  console:
    description: Arguments for the kernel that name its consoles. Used by C(state=configured).
    type: str
    default: console=tty0 console=ttyS0,115200
  build:
    description: Folder of the running build, where its log, progress and ledger live. Playbooks need not give it.
    type: path
attributes:
  check_mode:
    description: Tells whether the bootloader would be written.
    support: full
  diff_mode:
    description: There is nothing readable to compare.
    support: none
author:
  - debfleet (@debfleet)
"""

EXAMPLES = r"""
- name: Install the bootloader
  bootloader:
    disk: build/disk.raw
    tree: build/root
    layout: "{{ disk.layout }}"
    system: {architecture: amd64, firmware: both, bootloader: grub}
"""

RETURN = r"""
written:
  description: The places on the disk that were written to (or would be), as C(MBR) and C(ESP).
  returned: always
  type: list
  elements: str
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debfleet import bootloader, journal
from ansible.module_utils.debfleet.disk.layout import Layout
from ansible.module_utils.debfleet.errors import DebfleetError
from ansible.module_utils.debfleet.run import raise_on_signals

ACTION = {"configured": "configure", "installed": "install"}


@dataclass(frozen=True)
class Params:
    """The module's options."""

    state: str
    disk: str | None
    tree: str
    layout: dict[str, Any]
    system: dict[str, Any]
    console: str
    build: str | None


def bring_about(params: Params, check_mode: bool) -> dict[str, Any]:
    """Configure or install. Raises DebfleetError."""
    try:
        layout = Layout.from_dict(params.layout)
    except (KeyError, TypeError) as error:
        raise DebfleetError("the layout isn't one that image_disk returned", why=str(error)) from error
    tree = Path(params.tree).absolute()
    if params.state == "configured":
        there = bootloader.named(params.system["bootloader"])
        if not check_mode:
            there.configure(tree, layout, params.system, params.console)
        return {"changed": params.system["bootloader"] != "none", "written": []}
    assert params.disk
    disk = Path(params.disk).absolute()
    written = bootloader.install(disk, layout, tree, params.system, check_mode=check_mode)
    return {"changed": bool(written), "written": written}


def main() -> None:
    """Run the module."""
    raise_on_signals()
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": list(ACTION), "default": "installed"},
            "disk": {"type": "path"},
            "tree": {"type": "path", "required": True},
            "layout": {"type": "dict", "required": True},
            "system": {"type": "dict", "required": True},
            "console": {"default": "console=tty0 console=ttyS0,115200"},
            "build": {"type": "path"},
        },
        required_if=[("state", "installed", ["disk"])],
        supports_check_mode=True,
    )
    params = Params(**module.params)
    try:
        with journal.writing(params.build):
            result = bring_about(params, module.check_mode)
    except (DebfleetError, OSError) as error:
        name = params.system.get("bootloader", "")
        module.fail_json(msg=f"could not {ACTION[params.state]} the bootloader {name}".strip(), exception=error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
