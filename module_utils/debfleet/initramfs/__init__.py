# SPDX-License-Identifier: GPL-3.0-or-later
"""The initramfs of an image: generated once, when all that goes into it is there, and faster than by itself."""
