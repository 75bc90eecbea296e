# SPDX-License-Identifier: GPL-3.0-or-later
"""Building images of other architectures at the speed of this machine's own: native tools in place of emulated ones."""
