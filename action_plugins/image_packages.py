# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module image_packages as a step of the build, with its progress shown."""

from __future__ import annotations

from debfleet.controller.build_step import BuildStep as ActionModule

__all__ = ["ActionModule"]
