# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of an image: the only door by which a declaration enters, whatever its dialect."""

from .canonical import Manifest
from .checking import Checked, check
from .problems import Problem

__all__ = ["Checked", "Manifest", "Problem", "check"]
