# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of docs/ that are made from what they describe."""
