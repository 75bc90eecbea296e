# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of change that a phase may ask for, a file each."""
