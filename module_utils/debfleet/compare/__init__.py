# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between two images."""

from __future__ import annotations

from .difference import Difference
from .images import compare

__all__ = ["Difference", "compare"]
