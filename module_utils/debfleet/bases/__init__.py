# SPDX-License-Identifier: GPL-3.0-or-later
"""Bases: root trees kept, compressed, for later builds that would make the very same."""
