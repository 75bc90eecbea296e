#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that a plugin of the tests brings."""

from ansible.module_utils.basic import AnsibleModule

AnsibleModule(argument_spec={}, supports_check_mode=True).exit_json(changed=False, answer="42")
