# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finished image holds that it should not."""

from __future__ import annotations

from .inspection import report
from .results import Finding, RefusedError, Report, Result

__all__ = ["Finding", "RefusedError", "Report", "Result", "report"]
