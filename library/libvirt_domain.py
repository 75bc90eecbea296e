#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirt domain for a machine of any architecture."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: libvirt_domain
short_description: A libvirt domain for a machine of any architecture
description:
  - Defines, starts, stops and removes a libvirt domain that runs an image of any architecture in the table of debfleet.
  - What is not said follows from the image (a folder that C(build-image.yml) has made knows its architecture, format
    and firmware), from the architecture's usual machine, and from the host.
  - A domain of that name that isn't one of debfleet's - known by its metadata - is refused.
options:
  name:
    description: The domain's name.
    type: str
    required: true
  state:
    description:
      - C(defined) lets it run or not run, as it does. C(stopped) presses its power button.
      - C(absent) ends it, and removes its definition, UEFI variables, overlay and seed.
    type: str
    choices: [running, stopped, defined, absent]
    default: running
  uri:
    description: The libvirt to use. C(qemu:///system) for root and C(qemu:///session) for others when omitted.
    type: str
  image:
    description: The folder of a built image, or a disk's file. A relative path begins at the playbook's folder.
    type: path
  format:
    description: The format of a file whose ending doesn't tell it, as C(raw) or C(qcow2).
    type: str
  overlay:
    description: Let the domain write to a file of its own on top of the image, which stays as it was built.
    type: bool
    default: true
  size:
    description: The overlay's size, as C(8GiB), where it shall be larger than the image.
    type: str
  folder:
    description: Where the domain's own files lie; a folder in debfleet's state when omitted.
    type: path
  architecture:
    description: The machine's, by Debian's name or another. The image's when omitted, else the host's.
    type: str
  machine:
    description: The kind of machine, as C(q35) or C(virt). The usual one of the architecture when omitted.
    type: str
  firmware:
    description: What boots the disk, as C(bios) or C(uefi), or C(direct) for a kernel that is given.
    type: str
  variables:
    description: The domain's own file of UEFI variables. libvirt makes one when omitted.
    type: path
  accelerator:
    description: C(auto) takes KVM where a kernel comes through on it, and emulates elsewhere. C(xen) is for Xen hosts.
    type: str
    choices: [auto, kvm, tcg, xen]
    default: auto
  emulator:
    description: Path of the emulator. Debian's for the architecture when omitted.
    type: path
  memory:
    description: Memory in MiB. 1024 when omitted, or what the machine has.
    type: int
  cpus:
    description: How many virtual CPUs.
    type: int
    default: 1
  disks:
    description: Further disks.
    type: list
    elements: dict
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      format:
        description: Its format, where its ending doesn't tell.
        type: str
      readonly:
        description: Whether the guest may only read it.
        type: bool
        default: false
  seed:
    description: Texts for cloud-init, on a NoCloud seed disk.
    type: dict
    suboptions:
      user_data:
        description: The user-data.
        type: str
      meta_data:
        description: The meta-data. An instance-id that changes with the seed when omitted.
        type: str
      network_config:
        description: The network-config.
        type: str
  networks:
    description: Network cards. One of type C(user) when omitted; none for an empty list.
    type: list
    elements: dict
    suboptions:
      type:
        description: C(user) needs no rights; C(nat) is one of libvirt's networks, C(bridge) a bridge of the host.
        type: str
        choices: [user, nat, bridge]
        default: user
      source:
        description: The name of libvirt's network (C(default) when omitted) or of the bridge.
        type: str
      mac:
        description: The card's address. One that follows from the domain's name when omitted.
        type: str
  forwards:
    description: Ports of the host that lead to the guest's, on the first network, which has type C(user).
    type: list
    elements: dict
    suboptions:
      guest:
        description: The guest's port.
        type: int
        required: true
      host:
        description: The host's port. A free one, which the domain keeps, when omitted.
        type: int
      address:
        description: The host's address.
        type: str
        default: 127.0.0.1
      protocol:
        description: Which protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
  serial:
    description: The file that gets all that the console says. C(serial.log) in the domain's folder when omitted.
    type: path
  kernel:
    description: A kernel to boot directly. The one beside the image when omitted, where the image has no bootloader.
    type: path
  initrd:
    description: The kernel's initramfs.
    type: path
  cmdline:
    description: The kernel's command line.
    type: str
  device_tree:
    description: The kernel's device tree, for machines whose emulator makes none.
    type: path
  host_devices:
    description: Devices of the host that the guest gets - PCI as C(0000:01:00.0), USB as C(1d6b:0002).
    type: list
    elements: str
  timeout:
    description: Seconds that a guest has to shut down, until it is destroyed.
    type: int
    default: 60
attributes:
  check_mode:
    description: Says what would be done, and does nothing.
    support: full
  diff_mode:
    description: Shows the definition as it is, as far as it is debfleet's to say, and as it will be.
    support: full
author:
  - debfleet (@debfleet)
"""

EXAMPLES = r"""
- name: Run an image of any architecture, with a port for SSH
  libvirt_domain:
    name: web
    image: /srv/build/debian-trixie-arm64
    forwards:
      - guest: 22
    seed:
      user_data: "{{ lookup('ansible.builtin.file', 'user-data.yml') }}"

- name: Give a machine a GPU, a second disk and libvirt's own network
  libvirt_domain:
    name: gpu
    image: /srv/build/debian-trixie-gpu
    memory: 16384
    cpus: 8
    disks:
      - path: /srv/data.qcow2
    networks:
      - type: nat
    host_devices: ["0000:01:00.0"]

- name: Remove it
  libvirt_domain:
    name: web
    state: absent
"""

RETURN = r"""
domain:
  description:
    - The domain after the module ran - C(name), C(uuid) and C(state) (C(running), C(stopped), C(absent)), and, unless
      it is absent, C(architecture), C(machine), C(firmware), C(accelerator) and the C(reason) for it, C(forwards),
      C(serial) and C(xml).
  returned: success
  type: dict
  sample: {"name": "web", "state": "running", "architecture": "arm64", "forwards": [{"host": 40022, "guest": 22}]}
pending:
  description: Whether a changed definition waits for the running domain's next start.
  returned: success
  type: bool
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debfleet.errors import DebfleetError
from ansible.module_utils.debfleet.libvirt.managed import Wish, ensure
from ansible.module_utils.debfleet.libvirt.request import ACCELERATORS
from ansible.module_utils.debfleet.run import raise_on_signals

OWN = ("name", "state", "uri", "overlay", "size", "folder", "seed", "timeout")  # the others are the domain's
ACTION = {"running": "run", "stopped": "stop", "defined": "define", "absent": "remove"}


@dataclass(frozen=True)
class Params:
    """The module's options; `options` are those that say what the domain is."""

    name: str
    state: str
    uri: str | None
    overlay: bool
    size: str | None
    folder: str | None
    seed: dict[str, str] | None
    timeout: int
    options: dict[str, Any]

    @classmethod
    def of(cls, params: dict[str, Any]) -> Params:
        """From what Ansible gives."""
        options = {name: value for name, value in params.items() if name not in OWN}
        return cls(**{name: params[name] for name in OWN}, options=options)

    def wish(self) -> Wish:
        """What is wanted."""
        return Wish(
            name=self.name,
            state=self.state,
            options=self.options,
            uri=self.uri,
            folder=Path(self.folder).absolute() if self.folder else None,
            overlay=self.overlay,
            size=self.size,
            seed={key: text for key, text in (self.seed or {}).items() if text is not None},
            timeout=self.timeout,
        )


def spec() -> dict[str, Any]:
    """The module's options, for Ansible."""
    texts = ("uri", "format", "size", "architecture", "machine", "firmware", "cmdline")
    paths = ("image", "folder", "variables", "emulator", "serial", "kernel", "initrd", "device_tree")
    disk = {"path": {"type": "path", "required": True}, "format": {}, "readonly": {"type": "bool", "default": False}}
    seed = {"user_data": {"no_log": True}, "meta_data": {}, "network_config": {}}
    network = {"type": {"choices": ["user", "nat", "bridge"], "default": "user"}, "source": {}, "mac": {}}
    forward = {
        "guest": {"type": "int", "required": True},
        "host": {"type": "int"},
        "address": {"default": "127.0.0.1"},
        "protocol": {"choices": ["tcp", "udp"], "default": "tcp"},
    }
    return {
        "name": {"required": True},
        "state": {"choices": list(ACTION), "default": "running"},
        **{name: {} for name in texts},
        **{name: {"type": "path"} for name in paths},
        "overlay": {"type": "bool", "default": True},
        "accelerator": {"choices": list(ACCELERATORS), "default": "auto"},
        "memory": {"type": "int"},
        "cpus": {"type": "int", "default": 1},
        "disks": {"type": "list", "elements": "dict", "options": disk},
        "seed": {"type": "dict", "options": seed},
        "networks": {"type": "list", "elements": "dict", "options": network},
        "forwards": {"type": "list", "elements": "dict", "options": forward},
        "host_devices": {"type": "list", "elements": "str"},
        "timeout": {"type": "int", "default": 60},
    }


def main() -> None:
    """Run the module."""
    raise_on_signals()
    module = AnsibleModule(argument_spec=spec(), supports_check_mode=True)
    params = Params.of(module.params)
    try:
        result = ensure(params.wish(), check=module.check_mode)
    except DebfleetError as error:
        module.fail_json(msg=f"could not {ACTION[params.state]} the domain {params.name}", exception=error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
