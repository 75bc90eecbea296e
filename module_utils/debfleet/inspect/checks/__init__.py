# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks, one a file. A check takes the subject and fills in its result; its docstring is its documentation."""
