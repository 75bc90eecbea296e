# SPDX-License-Identifier: GPL-3.0-or-later
"""Where debfleet's own schemas, roles and playbooks lie: in the clone, or inside the package that was installed."""

from __future__ import annotations

from pathlib import Path

PACKAGED = "_house"


def root() -> Path:
    """The folder that has schemas/, roles/ and playbooks/."""
    here = Path(__file__).resolve().parent
    packaged = here / PACKAGED
    return packaged if packaged.is_dir() else here.parent.parent


def schemas() -> Path:
    """The folder of manifest.json."""
    return root() / "schemas"


def roles() -> Path:
    """The folder of debfleet's roles."""
    return root() / "roles"


def playbooks() -> Path:
    """The folder of debfleet's playbooks."""
    return root() / "playbooks"
