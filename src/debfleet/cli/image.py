# SPDX-License-Identifier: GPL-3.0-or-later
"""`debfleet image`: looking at finished images."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from debfleet.common.errors import FINDINGS, OK, DebfleetError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    look = verbs.add_parser(
        "inspect",
        help="what an image holds that it should not",
        description="Read an image, of debfleet or of another tool, without changing it: keys, passwords, logs, traces "
        "of the builder, and more (docs/inspection.md). Exit 0 when it is clean, 1 when something was found or could "
        "not be read.",
    )
    look.add_argument("--json", action="store_true", help="print the report as JSON (schemas/inspection.json)")
    look.add_argument("path", metavar="PATH", type=Path, help="build/NAME, an image file of any format, or a root tree")
    look.set_defaults(run=run_inspect)


def run_inspect(args: argparse.Namespace) -> int:
    """Inspect one image and print what was found."""
    from debfleet.common import inspect
    from debfleet.common.ledger import heal

    heal()
    report = inspect.report(args.path, manifest_beside(args.path))
    if args.json:
        text = json.dumps(report.to_dict(), indent=2)
    else:
        text = report.to_text(quiet=args.quiet, verbose=bool(args.verbose))
    sys.stdout.write(text + "\n")
    return OK if report.ok else FINDINGS


def manifest_beside(path: Path) -> dict[str, Any] | None:
    """The manifest that a build left beside its image; None where there is none."""
    file = (path if path.is_dir() else path.parent) / "manifest.json"
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DebfleetError("could not read what was asked for", where=str(file), why=str(error)) from error
    return found if isinstance(found, dict) else None
