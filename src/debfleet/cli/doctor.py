# SPDX-License-Identifier: GPL-3.0-or-later
"""`debfleet doctor`: what this machine lacks, and the command that mends it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from debfleet import house
from debfleet.common.errors import MISSING, OK

if TYPE_CHECKING:
    from debfleet.common.doctor.finding import Finding

TABLE = "scripts/debian-packages"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options; there is no verb."""
    parser.description = (
        "Look at this machine: Debian packages, Python packages, rights, room, mirrors, libvirt, KVM. What is missing "
        "is named with the command that mends it; nothing is changed. Exit 0 when nothing is missing, else 3; warnings "
        "are no errors."
    )
    parser.add_argument("--json", action="store_true", help="print all as JSON (schemas/doctor.json)")
    parser.add_argument("--offline", action="store_true", help="don't ask the mirrors")
    parser.set_defaults(run=run_doctor)


def run_doctor(args: argparse.Namespace) -> int:
    """Look at everything and print it."""
    from debfleet.common.doctor import finding, packages

    found = list(look(offline=args.offline))
    if args.json:
        print(json.dumps(finding.to_dict(found), indent=2, ensure_ascii=False))
    else:
        sys.stdout.write(finding.to_text(found, quiet=args.quiet))
        if command := packages.together(found):
            print(f"all packages at once: {command}")
    return OK if finding.ok(found) else MISSING


def look(*, offline: bool = False) -> Iterator[Finding]:
    """All findings, in the order in which they are told."""
    from debfleet.common.doctor import machine, machines, mirrors, packages

    yield from python()
    yield from packages.look(house.root() / TABLE, system_python=sys.base_prefix == "/usr")
    yield from machine.rights()
    yield from machine.room()
    yield from () if offline else mirrors.look()
    yield from machines.look(Path("build"))


def python() -> Iterator[Finding]:
    """The interpreter that runs the controller, and its packages."""
    from debfleet.common.doctor import finding
    from debfleet.controller import environment

    group, version = "Python", sys.version.split()[0]
    packaged = house.root().name == house.PACKAGED
    mend = f"{sys.executable} -m pip install 'debfleet[{environment.EXTRA}]'" if packaged else "make setup"
    new = sys.version_info >= environment.PYTHON
    least = ".".join(map(str, environment.PYTHON))
    purpose = f"runs ansible-playbook and debfleet; {least} or later"
    again = f"pip install 'debfleet[{environment.EXTRA}]' with it" if packaged else "make setup"
    fix = "" if new else f"pyenv install 3.13, or uv python install 3.13; then {again}"
    yield finding.Finding(group, "python", finding.OK if new else finding.MISSING, purpose, version, fix)
    for name, least in environment.required():
        try:
            have = metadata.version(name)
        except metadata.PackageNotFoundError:
            have = ""
        good = bool(have) and environment.numbers(have) >= environment.numbers(least)
        seen = have or "it is not installed"
        state = finding.OK if good else finding.MISSING
        yield finding.Finding(group, name, state, f"{least} or later", seen, "" if good else mend)
