#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the changes of an image that the tasks of a phase asked for."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_apply
short_description: Make the changes of an image that the tasks of a phase asked for
description:
  - Tasks of the action C(image_change) only ask. At a phase's end this module makes all of what they asked for, in
    their order, inside the root tree.
  - A change that fails ends it, and the message names the task that asked.
options:
  root:
    description: The root tree.
    type: path
    required: true
  requests:
    description:
      - File with what was asked for, a JSON object a line, each with C(role), C(task), C(kind) and C(value).
      - Where it does not exist nothing was asked for, and nothing is done.
    type: path
    required: true
  build:
    description: Folder of the running build, where its log, progress and ledger live. Playbooks need not give it.
    type: path
attributes:
  check_mode:
    description: Says how many changes it would make.
    support: full
  diff_mode:
    description: C(image_change) shows each change when it is asked for.
    support: none
author:
  - debfleet (@debfleet)
"""

EXAMPLES = r"""
- name: Make the changes they asked for
  image_apply:
    root: /dev/shm/tree/root
    requests: /srv/build/requests/system_modification
"""

RETURN = r"""
applied:
  description: How many changes were made, or would be.
  returned: always
  type: int
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debfleet import journal
from ansible.module_utils.debfleet.bootstrap import apt, mirror
from ansible.module_utils.debfleet.changes import apply, pip_settings, request
from ansible.module_utils.debfleet.errors import DebfleetError
from ansible.module_utils.debfleet.namespace import proxies
from ansible.module_utils.debfleet.run import raise_on_signals


def main() -> None:
    """Run the module."""
    raise_on_signals()
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "requests": {"type": "path", "required": True},
            "build": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = module.params
    requests = list(request.read(Path(params["requests"])))
    if module.check_mode:
        module.exit_json(changed=bool(requests), applied=len(requests))
    build = Path(params["build"]) if params["build"] else None
    secrets = [user.get("password-crypted") or "" for one in requests if one.kind == "users" for user in one.value]
    secrets += pip_settings.secrets(pip_settings.read()) if any(one.kind == "pip" for one in requests) else ()
    secrets += [proxy for proxy in proxies().values() if "@" in proxy]
    if build and (apt.folder_of(build) / apt.STATE).exists():
        secrets += mirror.credentials(" ".join(apt.Apt.load(build).settings))
    try:
        with journal.writing(build, secrets):
            tree = request.Tree(Path(params["root"]), build)
            applied = apply.apply_phase(tree, Path(params["requests"]).name, requests)
    except DebfleetError as error:
        module.fail_json(msg=f"could not make the changes of {Path(params['requests']).name}", exception=error)
    module.exit_json(changed=applied > 0, applied=applied)


if __name__ == "__main__":
    main()
