# SPDX-License-Identifier: GPL-3.0-or-later
"""`debfleet image`: looking at finished images, listing and comparing them, entering them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from debfleet.common.errors import FINDINGS, OK, DebfleetError

SECTIONS = ("packages", "sizes", "files", "layout", "manifest", "boot")  # of a comparison
WHAT = "build/NAME, an image file of any format, or a root tree"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    _configure_inspect(verbs)
    _configure_list(verbs)
    _configure_diff(verbs)
    _configure_shell(verbs)


def _configure_inspect(verbs: Any) -> None:
    look = verbs.add_parser(
        "inspect",
        help="what an image holds that it should not",
        description="Read an image, of debfleet or of another tool, without changing it: keys, passwords, logs, traces "
        "of the builder, and more (docs/inspection.md). Exit 0 when it is clean, 1 when something was found or could "
        "not be read.",
    )
    look.add_argument("--json", action="store_true", help="print the report as JSON (schemas/inspection.json)")
    look.add_argument("path", metavar="PATH", type=Path, help=WHAT)
    look.set_defaults(run=run_inspect)


def _configure_list(verbs: Any) -> None:
    table = verbs.add_parser(
        "list",
        help="what a folder of builds holds",
        description="A table of the images in a folder of builds: finished ones with their sizes, times, proof and "
        "inspection, builds that run, logs of those that failed. What is broken is told below its line. Exit 1 when an "
        "image is broken, else 0.",
    )
    table.add_argument("--json", action="store_true", help="print the list as JSON (schemas/images.json)")
    table.add_argument("--verify", action="store_true", help="read each image whole, and compare its SHA-256")
    table.add_argument("dir", nargs="?", metavar="DIR", type=Path, default=Path("build"), help="default: build")
    table.set_defaults(run=run_list)


def _configure_diff(verbs: Any) -> None:
    diff = verbs.add_parser(
        "diff",
        help="what differs between two images",
        description="Compare two images, of debfleet or of another tool: packages, sizes, files (type, mode, owner, "
        "content, links, extended attributes; not times), layout, manifest, boot time. A summary first, details with "
        "-v or --show. Exit 0 when they are the same, 1 when they differ; sizes on the disk and boot times alone are "
        "no difference.",
    )
    diff.add_argument("--json", action="store_true", help="print all as JSON (schemas/image-diff.json)")
    diff.add_argument(
        "--show", metavar="SECTION", action="append", default=[], choices=SECTIONS, help="details of a section (again)"
    )
    diff.add_argument(
        "--content", action="store_true", help="what differs inside of files, by diffoscope, and in their times"
    )
    diff.add_argument("a", metavar="A", type=Path, help=WHAT)
    diff.add_argument("b", metavar="B", type=Path, help="the same")
    diff.set_defaults(run=run_diff)


def _configure_shell(verbs: Any) -> None:
    shell = verbs.add_parser(
        "shell",
        help="a shell in an image, on a throw-away copy",
        description="Enter an image, of debfleet or of another tool, in namespaces of its own. What is written goes to "
        "an overlay that ends with the shell; the image's file is never changed. The exit code is the command's.",
    )
    shell.add_argument("--network", action="store_true", help="with the builder's network; else there is none")
    shell.add_argument("path", metavar="IMAGE", type=Path, help=WHAT)
    command = shell.add_argument("command", metavar="-- CMD …", nargs=argparse.REMAINDER, default=[])
    command.help = "a command with its arguments; a shell when left out"
    shell.set_defaults(run=run_shell, usage=shell.error)


def run_inspect(args: argparse.Namespace) -> int:
    """Inspect one image and print what was found."""
    from debfleet.common import inspect, userns
    from debfleet.common.inspect.reader import is_tree
    from debfleet.common.ledger import heal

    heal()
    if not is_tree(args.path):
        userns.enter()  # where the owners in an image are the subordinate ids of a user who isn't root
    report = inspect.report(args.path, manifest_beside(args.path))
    if args.json:
        text = json.dumps(report.to_dict(), indent=2)
    else:
        text = report.to_text(quiet=args.quiet, verbose=bool(args.verbose))
    sys.stdout.write(text + "\n")
    return OK if report.ok else FINDINGS


def run_list(args: argparse.Namespace) -> int:
    """Print the list of one folder."""
    from debfleet.common.folder import listing

    found = listing.builds(args.dir, verify=args.verify)
    if args.json:
        told = {"schema_version": listing.SCHEMA_VERSION, "images": [build.to_dict() for build in found]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    elif found:
        sys.stdout.write(listing.to_text(found, header=not args.quiet))
    elif not args.quiet:
        print(f"{args.dir} holds no images yet")
    return FINDINGS if any(build.state == "broken" for build in found) else OK


def run_diff(args: argparse.Namespace) -> int:
    """Compare two images and print what differs."""
    from debfleet.common import compare, userns
    from debfleet.common.ledger import heal

    heal()
    userns.enter()
    found = compare.compare(args.a, args.b, into=args.content)
    if args.json:
        print(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        print(found.to_text(SECTIONS if args.verbose else args.show), end="")
    return OK if found.same else FINDINGS


def run_shell(args: argparse.Namespace) -> int:
    """Run a shell or a command in one image."""
    from debfleet.common import userns
    from debfleet.common.ledger import heal
    from debfleet.common.shell import visit

    options, command = split(args.words)
    extra = [word for word in args.command[: len(args.command) - len(command)] if word not in ("--", "--network")]
    if extra:
        args.usage(f"{extra[0]}: a command comes after --")
    heal()
    userns.enter()
    return visit.enter(args.path, command, network="--network" in options)


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """What stands before the first `--`, and the command behind it. (argparse loses others that are the command's.)"""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


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
