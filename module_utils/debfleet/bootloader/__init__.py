# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bootloader needs in the tree and on the disk."""
