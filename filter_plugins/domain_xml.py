# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML of a libvirt domain, for a playbook that hands it on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from debfleet.common.errors import DebfleetError
from debfleet.common.libvirt.domain_xml import domain_xml
from debfleet.common.libvirt.request import machine

DOCUMENTATION = """
name: domain_xml
short_description: The XML of a libvirt domain
description:
  - Gives the XML that C(libvirt_domain) would define with C(overlay) off, and C(debfleet domain-xml) prints, from
    options of the same names; C(seed) is the path of the seed disk here.
  - libvirt need not be there.
options:
  _input:
    description: The options.
    type: dict
    required: true
author: debfleet (@debfleet)
"""

EXAMPLES = """
- ansible.builtin.copy:
    content: "{{ {'name': 'web', 'image': '/srv/build/web', 'memory': 2048} | domain_xml }}"
    dest: /srv/web.xml
    mode: "0644"
"""

RETURN = """
_value:
  description: The XML.
  type: str
"""


def of_options(options: Mapping[str, Any]) -> str:
    """The XML of the domain that these options ask for."""
    try:
        return domain_xml(machine(options)) + "\n"
    except DebfleetError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name and function."""
        return {"domain_xml": of_options}
