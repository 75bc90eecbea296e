# SPDX-License-Identifier: GPL-3.0-or-later
"""Shells for people: in a throw-away view of an image, and in the tree of a build where it failed."""
