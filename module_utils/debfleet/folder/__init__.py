# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that a build leaves: build/NAME, with the image and all that is told about it."""
