# SPDX-License-Identifier: GPL-3.0-or-later
"""A root tree from a Debian mirror."""
