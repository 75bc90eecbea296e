# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plugins of Ansible's controller share: the only part of this package that knows Ansible."""
