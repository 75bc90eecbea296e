# SPDX-License-Identifier: GPL-3.0-or-later
# PYTHON_ARGCOMPLETE_OK
"""``python -m debfleet`` is the command debfleet."""

from __future__ import annotations

import sys

from debfleet.cli import main

if __name__ == "__main__":
    sys.exit(main())
