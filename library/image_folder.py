#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that an image build leaves."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_folder
short_description: The folder that an image build leaves
description:
  - Puts a finished image into its folder, C(build/NAME), in the manifest's format, with its log, manifest (without
    secrets), packages, metadata, bill of materials (CycloneDX) and checksums, and the kernel and initramfs where the
    image has no boot loader.
  - The folder appears whole or not at all. What an earlier build of the name left there is replaced in one step.
options:
  state:
    description: Whether the folder is there. C(present) always makes it anew.
    type: str
    choices: [present, absent]
    default: present
  folder:
    description: The folder, C(build/NAME).
    type: path
    required: true
  disk:
    description: The finished disk, raw. Needed for C(state=present).
    type: path
  tree:
    description: The root tree that the disk was made of. Needed for C(state=present).
    type: path
  manifest:
    description: The canonical manifest. Needed for C(state=present).
    type: dict
    default: {}
  layout:
    description: The disk's layout. Needed for C(state=present).
    type: dict
    default: {}
  inputs:
    description:
      - All that shaped the image, by name and in one word each; C(metadata.json) has it, so that a later build can tell
        that nothing has changed.
    type: dict
    default: {}
  inspect:
    description:
      - Inspect the disk while the image is written, as image_inspect does. When something is found, or can't be read,
        the module fails and the folder is as it was.
    type: bool
    default: false
  build:
    description: Folder of the running build, where its log, progress and ledger live. Playbooks need not give it.
    type: path
attributes:
  check_mode:
    description: Tells whether the folder would change; nothing is written or removed.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
author:
  - debfleet (@debfleet)
"""

EXAMPLES = r"""
- name: Put the image in its place
  image_folder:
    folder: build/kvm-amd64
    disk: "{{ image_build.disk }}"
    tree: "{{ image_tree.root }}"
    manifest: "{{ image_build.manifest }}"
    layout: "{{ image_build.layout }}"
    inspect: true

- name: Remove an image
  image_folder:
    folder: build/kvm-amd64
    state: absent
"""

RETURN = r"""
folder:
  description: The folder.
  returned: always
  type: str
metadata:
  description: What metadata.json says of the image, as in schemas/metadata.json.
  returned: for C(state=present), not in check mode
  type: dict
report:
  description: What each check looked at, found and could not read, as in schemas/inspection.json.
  returned: with C(inspect=true), when the disk was looked at; of a failure, the checks that failed
  type: dict
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debfleet import inspect, journal
from ansible.module_utils.debfleet.disk.shrink import Shrink
from ansible.module_utils.debfleet.errors import DebfleetError
from ansible.module_utils.debfleet.folder import contents, publish
from ansible.module_utils.debfleet.masking import secrets_of
from ansible.module_utils.debfleet.run import raise_on_signals
from ansible.module_utils.debfleet.workspace import PUBLISHED, held_ledger

SECONDS = "phases.json"  # in the work folder: seconds by phase
ACTION = {"present": "put the image into its folder", "absent": "remove the image's folder"}


@dataclass(frozen=True)
class Params:
    """The module's options."""

    state: str
    folder: str
    disk: str | None
    tree: str | None
    manifest: dict[str, Any]
    layout: dict[str, Any]
    inputs: dict[str, str]
    inspect: bool
    build: str | None


def look(disk: Path, params: Params) -> inspect.Report:
    """Inspect the disk. Raises RefusedError where something is found, DebfleetError where it can't be read at all."""
    report = inspect.report(disk, params.manifest, scratch=Path(params.build) if params.build else None)
    journal.log(report.to_text())
    if not report.ok:
        raise inspect.RefusedError(report)
    return report


def present(params: Params) -> dict[str, Any]:
    """Make the folder. Returns what was made and seen. Raises DebfleetError; then the folder is as it was."""
    assert params.disk and params.tree
    work = Path(params.build) if params.build else None
    seconds = work / SECONDS if work else None
    source = contents.Source(
        disk=Path(params.disk).absolute(),
        tree=Path(params.tree).absolute(),
        log=work / journal.LOG if work else None,
        manifest=params.manifest,
        layout=params.layout,
        build=work,
        seconds=json.loads(seconds.read_text(encoding="utf-8")) if seconds and seconds.exists() else {},
        inputs=params.inputs,
    )
    told: dict[str, Any] = {}
    with (
        publish.published(Path(params.folder).absolute(), held_ledger(work) if work else None) as folder,
        ThreadPoolExecutor(1) as beside,
    ):
        if params.inspect:
            looking = beside.submit(look, source.disk, params)
            if Shrink.load(work).writes_disk(params.manifest["volume"]["backing"]):
                looking.result()
            told["metadata"] = contents.write(folder, source, looking.result)
            told["report"] = looking.result().to_dict()
        else:
            told["metadata"] = contents.write(folder, source)
    if work:
        (work / PUBLISHED).touch()
    return told


def apply(params: Params, check_mode: bool) -> dict[str, Any]:
    """Bring the folder to the state that is wanted."""
    place = Path(params.folder).absolute()
    publish.refuse_strangers(place)
    result: dict[str, Any] = {"changed": params.state == "present" or place.exists(), "folder": str(place)}
    if check_mode:
        return result
    with journal.writing(params.build, secrets_of(params.manifest)):
        if params.state == "present":
            return {**result, **present(params)}
        publish.remove(place)
    return result


def main() -> None:
    """Run the module."""
    raise_on_signals()
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["present", "absent"], "default": "present"},
            "folder": {"type": "path", "required": True},
            "disk": {"type": "path"},
            "tree": {"type": "path"},
            "manifest": {"type": "dict", "default": {}},
            "layout": {"type": "dict", "default": {}},
            "inputs": {"type": "dict", "default": {}},
            "inspect": {"type": "bool", "default": False},
            "build": {"type": "path"},
        },
        required_if=[("state", "present", ["disk", "tree", "manifest", "layout"])],
        supports_check_mode=True,
    )
    params = Params(**module.params)
    module.no_log_values.update(secrets_of(params.manifest))
    try:
        result = apply(params, module.check_mode)
    except inspect.RefusedError as refused:
        report = refused.report.to_dict(ok=False)
        module.fail_json(msg="could not pass the image", exception=refused, report=report)
    except DebfleetError as error:
        module.fail_json(msg=f"could not {ACTION[params.state]}", exception=error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
