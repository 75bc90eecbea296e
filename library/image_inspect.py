#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hygiene of a finished image."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_inspect
short_description: What a finished image holds that it should not
description:
  - Reads an image without changing it, whatever tool made it, and looks for keys, passwords, logs, traces of the
    builder and more. The checks are listed in docs/inspection.md.
  - Fails when something is found, and when something can't be read.
options:
  image:
    description: The image (raw, or any format that qemu-img reads), the folder of a build, or a root tree.
    type: path
    required: true
  manifest:
    description: The canonical manifest. What it asks for, an account with a password for one, is no finding.
    type: dict
    default: {}
  build:
    description: Folder of the running build, where its log, progress and ledger live. Playbooks need not give it.
    type: path
attributes:
  check_mode:
    description: An image that is not there yet is not looked at. Nothing is ever changed.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
author:
  - debfleet (@debfleet)
"""

EXAMPLES = r"""
- name: Inspect an image of another tool
  image_inspect:
    image: /srv/images/debian-13.qcow2

- name: Inspect an image in which root was given a password
  image_inspect:
    image: build/kvm-amd64
    manifest:
      plugins:
        root_password:
          password-crypted: $6$saltsalt$hash
"""

RETURN = r"""
report:
  description: What each check looked at, found and could not read, as in schemas/inspection.json.
  returned: when the image was looked at; of a failure, the checks that failed
  type: dict
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debfleet import inspect, journal
from ansible.module_utils.debfleet.errors import DebfleetError
from ansible.module_utils.debfleet.masking import secrets_of
from ansible.module_utils.debfleet.run import raise_on_signals


@dataclass(frozen=True)
class Params:
    """The module's options."""

    image: str
    manifest: dict[str, Any]
    build: str | None


def look(params: Params) -> inspect.Report:
    """Inspect the image. Raises DebfleetError where it can't be read at all."""
    with journal.writing(params.build, secrets_of(params.manifest)):
        report = inspect.report(
            Path(params.image).absolute(), params.manifest, scratch=Path(params.build) if params.build else None
        )
        journal.log(report.to_text())
    return report


def main() -> None:
    """Run the module."""
    raise_on_signals()
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "path", "required": True},
            "manifest": {"type": "dict", "default": {}},
            "build": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = Params(**module.params)
    module.no_log_values.update(secrets_of(params.manifest))
    if module.check_mode and not Path(params.image).exists():
        module.exit_json(changed=False, skipped=True)
    try:
        report = look(params)
    except DebfleetError as error:
        module.fail_json(msg="could not inspect the image", exception=error)
    if not report.ok:
        refused = inspect.RefusedError(report)
        module.fail_json(msg="could not pass the image", exception=refused, report=report.to_dict(ok=False))
    module.exit_json(changed=False, report=report.to_dict())


if __name__ == "__main__":
    main()
