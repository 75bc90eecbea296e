# SPDX-License-Identifier: GPL-3.0-or-later
"""debfleet: Debian images, fleets of machines from them, and the archive rebuilt on those fleets."""

__version__ = "0.1.0"
