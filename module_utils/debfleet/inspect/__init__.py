# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finished image holds that it should not."""
