# SPDX-License-Identifier: GPL-3.0-or-later
"""`debfleet manifest`: checking declarations of images, and planning their builds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from debfleet import house
from debfleet.common.errors import FINDINGS, OK


def configure(parser: argparse.ArgumentParser) -> None:
    """Add `check` and `plan`."""
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    check = verbs.add_parser(
        "check",
        help="everything that is wrong with manifests",
        description="Check manifests, JSON or YAML of any generation: every error at once, with its line, what is "
        "allowed and what may be meant. Nothing is touched. Exit 0 when all are right, 1 when one is not.",
    )
    check.add_argument("--json", action="store_true", help="print errors and notices as JSON")
    check.add_argument("files", nargs="+", metavar="FILE", type=Path, help="a manifest")
    check.set_defaults(run=run_check)
    plan = verbs.add_parser(
        "plan",
        help="what a build would do",
        description="The phases and their tasks in order, the disk, the packages; nothing is built, and no mirror is "
        "asked (plan-image.yml asks it, and tells the download's size).",
    )
    plan.add_argument("--json", action="store_true", help="print the plan as JSON")
    plan.add_argument("file", metavar="FILE", type=Path, help="a manifest")
    plan.set_defaults(run=run_plan)


def run_check(args: argparse.Namespace) -> int:
    """Check each file; all errors and notices together."""
    from debfleet.common import manifest

    found = [
        (path, manifest.check(path, role_paths=[house.roles()], schema_dir=house.schemas())) for path in args.files
    ]
    errors = [problem for _, checked in found for problem in checked.errors]
    if args.json:
        notices = [problem for _, checked in found for problem in checked.notices]
        both = {"errors": [p.to_dict() for p in errors], "notices": [p.to_dict() for p in notices]}
        print(json.dumps(both, indent=2, ensure_ascii=False))
        return FINDINGS if errors else OK
    for path, checked in found:
        for problem in checked.errors:
            print(problem.text())
        for problem in () if args.quiet else checked.notices:
            print(f"note: {problem.text()}")
        if checked.manifest and not args.quiet:
            missing = f" (not built yet: {', '.join(checked.not_built)})" if checked.not_built else ""
            print(f"{path}: right{missing}")
    return FINDINGS if errors else OK


def run_plan(args: argparse.Namespace) -> int:
    """Print the plan of one manifest, or what is wrong with it."""
    from debfleet.common import manifest
    from debfleet.common.manifest import plan

    checked = manifest.check(args.file, role_paths=[house.roles()], schema_dir=house.schemas())
    if checked.manifest is None:
        if args.json:
            print(json.dumps(checked.to_dict(), indent=2, ensure_ascii=False))
        else:
            sys.stdout.writelines(f"{problem.text()}\n" for problem in checked.errors)
        return FINDINGS
    planned = plan.plan(checked)
    print(json.dumps(planned.to_dict(), indent=2, ensure_ascii=False) if args.json else planned.text(), end="")
    if args.json:
        print()
    return OK
