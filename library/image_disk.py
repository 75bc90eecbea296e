#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of an image."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_disk
short_description: The disk of an image, partitioned, prepared and filled
description:
  - Puts a disk together in a file, from a description of its partitions and a root tree.
  - ext, FAT and swap are written in their places without loop devices. xfs and btrfs are filled by a loop device and a
    mount in a namespace of its own, which end with the module, however it ends.
  - Every UUID follows from O(seed), so that the same call gives the same disk.
  - Bring it to its states in order; a state that can't be reached from what the disk is fails before anything is
    touched.
options:
  path:
    description: The disk's file. It is raw and sparse.
    type: path
    required: true
  state:
    description:
      - C(partitioned) makes the file and its partition map, unless it has this very map already. What it held is gone.
      - C(prepared) makes swap and the EFI system partition, unless they are there.
      - C(filled) makes the other filesystems with the content of O(tree), always anew.
    type: str
    choices: [partitioned, prepared, filled]
    default: partitioned
  volume:
    description:
      - The disk as a manifest's C(volume) section has it, with C(size) and C(partitions).
      - Instead, O(size), O(map) and O(partitions) may be given.
    type: dict
  size:
    description:
      - Size of the disk, as C(2GiB) or C(500MB). What isn't a whole MiB is rounded up.
      - Without it the disk is as large as its partitions need; then each of them needs a fixed size.
    type: str
  map:
    description: Kind of partition map; with C(none) the root filesystem takes the whole disk.
    type: str
    choices: [none, msdos, gpt]
    default: gpt
  partitions:
    description:
      - The partitions by name, in their order on the disk. C(root), C(boot) and C(swap) are known; any other is a mount
        point without its leading slash, as C(var/tmp).
      - Each has a C(size) (fixed, a share as C(40%), or C(remaining)), and may have a C(filesystem) (C(ext2), C(ext3),
        C(ext4), C(xfs), C(btrfs)), C(mountopts), a C(mode) and a C(format_command).
      - A C(format_command) is a list of words in which C({fs}), C({device_path}), C({size}) (bytes), C({uuid}) and
        C({label}) are filled in. It works on a file of the partition's size. For ext it has to begin with C(mkfs.ext4)
        or its like, whose arguments for content, UUID and label are added.
    type: dict
  firmware:
    description: What shall be able to boot the disk. The partitions that it needs are added.
    type: str
    choices: [bios, uefi, both]
    default: bios
  bootloader:
    description: The bootloader that will be installed.
    type: str
    default: none
  seed:
    description: Any text; every UUID follows from it. Without it they are random.
    type: str
  layout:
    description: A layout that this module returned, in the place of the options that describe a disk.
    type: dict
  tree:
    description: The root tree. Needed for C(state=filled). Missing mount points are made in it.
    type: path
  build:
    description: Folder of the running build, where its log, progress and ledger live. Playbooks need not give it.
    type: path
attributes:
  check_mode:
    description: Tells the layout and whether the disk would change.
    support: full
  diff_mode:
    description: Shows the partitions with their states before and after.
    support: full
author:
  - debfleet (@debfleet)
"""

EXAMPLES = r"""
- name: Lay out a disk that BIOS and UEFI boot
  image_disk:
    path: build/disk.raw
    size: 4GiB
    map: gpt
    firmware: both
    bootloader: grub
    partitions:
      swap: {size: 512MiB}
      root: {size: remaining, filesystem: ext4}
  register: disk

- name: Make swap and the EFI system partition
  image_disk:
    path: build/disk.raw
    state: prepared
    layout: "{{ disk.layout }}"

- name: Write the tree into its filesystems
  image_disk:
    path: build/disk.raw
    state: filled
    layout: "{{ disk.layout }}"
    tree: build/root
"""

RETURN = r"""
layout:
  description: The disk as it is meant to be. Starts and sizes are bytes.
  returned: always
  type: dict
  sample:
    map: gpt
    size: 4294967296
    disk_uuid: 0f4cb3b2-4c47-5e2e-8b34-b0e0c2a0a2a3
    partitions:
      - number: 1
        name: root
        mount: /
        filesystem: ext4
        start: 1048576
        size: 4292870144
        type: 0FC63DAF-8483-4772-8E79-3D69D8477DE4
        uuid: 3c1d9c9e-3f33-5d5b-9df0-6f4d5c4fbb0f
        partuuid: 5f7b0a3a-2a31-5b0e-8b0a-6a2d0e3f1c55
        label: root
        mountopts: []
        mode: null
        format_command: null
        features: []
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debfleet import journal
from ansible.module_utils.debfleet.disk import assemble, states
from ansible.module_utils.debfleet.disk import layout as layouts
from ansible.module_utils.debfleet.errors import DebfleetError
from ansible.module_utils.debfleet.run import raise_on_signals

ACTION = {"partitioned": "lay out the disk", "prepared": "prepare the disk", "filled": "write the tree to the disk"}


@dataclass(frozen=True)
class Params:
    """The module's options."""

    path: str
    state: str
    volume: dict[str, Any] | None
    size: str | None
    map: str
    partitions: dict[str, Any] | None
    firmware: str
    bootloader: str
    seed: str | None
    layout: dict[str, Any] | None
    tree: str | None
    build: str | None


def desired(params: Params) -> layouts.Layout:
    """The layout that is asked for. Raises LayoutError."""
    if params.layout:
        try:
            return layouts.Layout.from_dict(params.layout)
        except (KeyError, TypeError) as error:
            raise DebfleetError("the layout isn't one that this module returned", why=str(error)) from error
    volume = params.volume or {"size": params.size, "partitions": {"type": params.map, **(params.partitions or {})}}
    seed = params.seed or secrets.token_hex(16)
    return layouts.plan(volume, firmware=params.firmware, bootloader=params.bootloader, seed=seed)


def bring_about(params: Params, check_mode: bool) -> dict[str, Any]:
    """Bring the disk to its state. Raises DebfleetError."""
    disk, layout = Path(params.path).absolute(), desired(params)
    tree = Path(params.tree).absolute() if params.tree else None
    # What an earlier step would have made isn't there when that step was only checked.
    assemble.check(layout, *([] if check_mode else [disk.parent, *([tree] if tree else [])]))
    current = assemble.read_current(disk, layout)
    actions = states.plan(current, layout, params.state, assemble.made_empty())
    after = states.outcome(current, actions)
    before_text = assemble.described(disk, layout, current)
    if not check_mode:
        assemble.apply(disk, layout, actions, tree)
    diff = {"before": before_text, "after": assemble.described(disk, layout, after)}
    return {"changed": bool(actions), "layout": layout.to_dict(), "diff": diff}


def main() -> None:
    """Run the module."""
    raise_on_signals()
    described = ["volume", "layout", "partitions"]
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"choices": list(states.GOALS), "default": "partitioned"},
            "volume": {"type": "dict"},
            "size": {},
            "map": {"choices": ["none", "msdos", "gpt"], "default": "gpt"},
            "partitions": {"type": "dict"},
            "firmware": {"choices": ["bios", "uefi", "both"], "default": "bios"},
            "bootloader": {"default": "none"},
            "seed": {},
            "layout": {"type": "dict"},
            "tree": {"type": "path"},
            "build": {"type": "path"},
        },
        required_if=[("state", "filled", ["tree"])],
        required_one_of=[described],
        mutually_exclusive=[described, ["volume", "size"], ["layout", "size"], ["layout", "seed"]],
        supports_check_mode=True,
    )
    params = Params(**module.params)
    try:
        with journal.writing(params.build):
            result = bring_about(params, module.check_mode)
    except (DebfleetError, OSError) as error:
        module.fail_json(msg=f"could not {ACTION[params.state]}", exception=error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
