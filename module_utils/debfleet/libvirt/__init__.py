# SPDX-License-Identifier: GPL-3.0-or-later
"""A domain of libvirt: its XML, its life, and the proof that an image boots."""
