# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks: lists of them made from indices, lists and databases; merged, checked, shown."""
