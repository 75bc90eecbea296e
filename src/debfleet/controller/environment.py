# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the Python that runs Ansible here can do debfleet's work.

An action plugin that fails to import debfleet at all has to say so itself; with debfleet there, ``require()`` tells the
rest: a Python or an ansible-core that is too old, a package of the extra "controller" that is missing.
"""

from __future__ import annotations

import sys
from importlib import metadata

from debfleet import __version__
from debfleet.common.errors import MissingError

PYTHON = (3, 12)
EXTRA = "controller"
HINT = "make setup, then .venv/bin/ansible-playbook, or first: source .venv/bin/activate"


def require() -> None:
    """Raise MissingError when this interpreter lacks something that the controller's side needs."""
    missing = problems()
    if missing:
        raise MissingError(
            f"this ansible-playbook belongs to {sys.executable}, which can't run debfleet {__version__}",
            why="; ".join(missing),
            hint=HINT,
        )


def problems() -> list[str]:
    """What this interpreter lacks, each in words; nothing when all is well."""
    if sys.version_info < PYTHON:
        return [f"it is Python {sys.version.split()[0]}, and {'.'.join(map(str, PYTHON))} or later is needed"]
    told = []
    for name, least in required():
        try:
            have = metadata.version(name)
        except metadata.PackageNotFoundError:
            told.append(f"{name} is not installed")
            continue
        if numbers(have) < numbers(least):
            told.append(f"{name} is {have}, and {least} or later is needed")
    return told


def required() -> list[tuple[str, str]]:
    """The packages of the extra "controller", each with its least version."""
    try:
        lines = metadata.requires("debfleet") or []
    except metadata.PackageNotFoundError:  # run from the source, without an installation
        return []
    wanted = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        if f'extra == "{EXTRA}"' in marker.replace("'", '"'):
            name, _, least = requirement.partition(">=")
            wanted.append((name.strip(), least.strip()))
    return wanted


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: 2.19.0rc1 is (2, 19, 0)."""
    found: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    return tuple(found)
