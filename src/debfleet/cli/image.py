# SPDX-License-Identifier: GPL-3.0-or-later
"""`debfleet image`: looking at finished images."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from debfleet.common import inspect
from debfleet.common.errors import FINDINGS, OK
from debfleet.common.ledger import heal


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add `inspect`."""
    look = verbs.add_parser(
        "inspect",
        parents=[common],
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
    heal()
    report = inspect.report(args.path, manifest_beside(args.path))
    if args.json:
        print(json.dumps(report.to_dict(), indent=2))
    else:
        sys.stdout.write(report.to_text() + "\n")
    return OK if report.ok else FINDINGS


def manifest_beside(path: Path) -> dict[str, Any] | None:
    """The manifest that a build left beside its image; None where there is none."""
    file = (path if path.is_dir() else path.parent) / "manifest.json"
    if not file.is_file():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else None
