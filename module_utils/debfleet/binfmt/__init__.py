# SPDX-License-Identifier: GPL-3.0-or-later
"""How the kernel is told to run the programs of a tree of another architecture."""
