# SPDX-License-Identifier: GPL-3.0-or-later
"""The logic of debfleet: knows no Ansible, does nothing when imported. At the prompt it is ``debfleet.common``."""
