# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest: read, brought to one form, validated, planned."""
