# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk: its layout, its partition map, its filesystems, put together without loop devices."""
