# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine lacks of what debfleet needs, and the command that mends it."""
