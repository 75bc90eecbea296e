# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of tasks: where they lie, how they are committed, what failed in them, and the indexes that find them."""
