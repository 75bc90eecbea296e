# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module image_workspace as a step of the build, with its progress shown."""

from __future__ import annotations

from debfleet.controller.build_step import BuildStep


class ActionModule(BuildStep):
    """Checked in a build that is only checked, too."""

    as_root = False  # it outlives the namespaces, and ends what is in them
    stands_alone = True
