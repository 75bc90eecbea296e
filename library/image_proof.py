#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that a built image boots."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_proof
short_description: Boot a built image and prove it from inside
description:
  - Boots the image of a folder that C(build-image.yml) has made as a libvirt domain, on an overlay; the image is never
    written.
  - Logs in with a key that is thrown away - over SSH, as a user made by cloud-init or as root by systemd credentials -
    or at the serial console where the image has no SSH server, and compares what it finds with the manifest.
  - Writes C(proof.json) and C(serial.log) into the folder. Only a token that comes back from inside counts.
  - A boot that fails is diagnosed - the stage it stopped in, the lines that show it, and what to do.
options:
  folder:
    description: The image's folder, C(build/NAME).
    type: path
    required: true
  firmware:
    description: By which firmware to boot, each in turn. What the manifest says when omitted.
    type: list
    elements: str
    choices: [bios, uefi]
  uri:
    description: The libvirt to use. C(qemu:///system) for root and C(qemu:///session) for others when omitted.
    type: str
  memory:
    description: Memory of the machine in MiB.
    type: int
    default: 1024
  timeout:
    description: Seconds that each boot has until the login; up to three times that while the console goes on.
    type: int
    default: 600
  quiet:
    description:
      - Seconds without anything new, before the kernel or after the login prompt, after which the boot is given up.
    type: int
    default: 120
  accelerator:
    description: C(auto) takes KVM where a kernel comes through on it, and emulates elsewhere.
    type: str
    choices: [auto, kvm, tcg]
    default: auto
  build:
    description: Folder of the running build, where its log, progress and ledger live. Playbooks need not give it.
    type: path
attributes:
  check_mode:
    description: Says what would be booted, and how; boots nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
author:
  - debfleet (@debfleet)
"""

EXAMPLES = r"""
- name: Boot the image and prove it
  image_proof:
    folder: build/kvm-amd64

- name: Boot it by UEFI alone, with more memory
  image_proof:
    folder: build/kvm-amd64
    firmware: [uefi]
    memory: 2048
"""

RETURN = r"""
proof:
  description: What C(proof.json) has; in check mode the file, firmware, access and uri that would be used.
  returned: success
  type: dict
  sample: {"schema_version": 1, "file": "disk.raw", "firmware": "bios", "accelerator": "tcg"}
stage:
  description:
    - The stage that the boot stopped in - firmware, bootloader, kernel, initramfs, init, cloud-init, network or ssh.
  returned: when a boot stopped
  type: str
  sample: bootloader
lines:
  description: The lines of the console that show it.
  returned: when a boot stopped
  type: list
  elements: str
advice:
  description: What to do.
  returned: when a boot stopped
  type: str
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debfleet import journal
from ansible.module_utils.debfleet.errors import DebfleetError
from ansible.module_utils.debfleet.ledger import Ledger
from ansible.module_utils.debfleet.libvirt.attempt import Options
from ansible.module_utils.debfleet.libvirt.proof import planned, prove
from ansible.module_utils.debfleet.libvirt.watch import BootError
from ansible.module_utils.debfleet.run import raise_on_signals
from ansible.module_utils.debfleet.workspace import LEDGER, held_ledger


@dataclass(frozen=True)
class Params:
    """The module's options."""

    folder: str
    firmware: list[str] | None
    uri: str | None
    memory: int
    timeout: int
    quiet: int
    accelerator: str
    build: str | None

    def options(self) -> Options:
        """How to boot."""
        return Options(
            firmware=self.firmware,
            uri=self.uri,
            memory=self.memory << 20,
            timeout=self.timeout,
            quiet=self.quiet,
            accelerator=self.accelerator,
        )

    def ledger(self) -> Ledger | None:
        """The running build's ledger, where there is a build."""
        return held_ledger(self.build) if self.build and (Path(self.build) / LEDGER).exists() else None


def apply(params: Params, check_mode: bool) -> dict[str, Any]:
    """Boot, or say what would be booted."""
    if check_mode:
        return {"changed": True, "proof": planned(params.folder, params.options())}
    return {"changed": True, "proof": prove(params.folder, params.options(), params.ledger())}


def main() -> None:
    """Run the module."""
    raise_on_signals()
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "firmware": {"type": "list", "elements": "str", "choices": ["bios", "uefi"]},
            "uri": {},
            "memory": {"type": "int", "default": 1024},
            "timeout": {"type": "int", "default": 600},
            "quiet": {"type": "int", "default": 120},
            "accelerator": {"choices": ["auto", "kvm", "tcg"], "default": "auto"},
            "build": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = Params(**module.params)
    try:
        with journal.writing(params.build):
            result = apply(params, module.check_mode)
    except BootError as error:
        found = error.diagnosis
        facts = {"stage": found.stage, "lines": found.lines, "advice": found.advice}
        module.fail_json(msg=f"could not boot {params.folder}", exception=error, **facts)
    except DebfleetError as error:
        module.fail_json(msg=f"could not prove {params.folder}", exception=error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
