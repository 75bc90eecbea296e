# SPDX-License-Identifier: GPL-3.0-or-later
"""`debfleet tasks`: lists of tasks made, merged, checked, shown and submitted."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from debfleet.common.errors import FINDINGS, OK, DebfleetError

SHOWN = 20  # tasks that are told one by one
LINES = "JSON Lines, a task a line (schemas/task.json)"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    _configure_generate(verbs)
    merge = verbs.add_parser(
        "merge",
        help="make one list of several, or filter one",
        description="Bring lists together: each task once, with the better founded estimates. Where the lists "
        "disagree about options or the like, every conflict is told, and the exit code is 1 unless one is preferred.",
    )
    merge.add_argument("files", nargs="+", metavar="FILE", help=f"{LINES}; - is standard input")
    merge.add_argument("--prefer", choices=("first", "last"), default="", help="the list that counts in a conflict")
    _filters(merge)
    _suites(merge)
    merge.add_argument("--arch", action="append", default=[], metavar="ARCH", help="keep these architectures")
    _output(merge)
    merge.set_defaults(run=run_merge)
    validate = verbs.add_parser(
        "validate",
        help="everything that is wrong with lists",
        description="Check lists of tasks: every error at once, with its line. Exit 0 when all are right, else 1.",
    )
    validate.add_argument("files", nargs="+", metavar="FILE", help=f"{LINES}; - is standard input")
    validate.add_argument("--json", action="store_true", help="print the errors as JSON")
    validate.set_defaults(run=run_validate)
    show = verbs.add_parser("show", help="a list for a reader", description="Show the tasks of lists, longest first.")
    show.add_argument("files", nargs="+", metavar="FILE", help=f"{LINES}; - is standard input")
    _filters(show)
    show.set_defaults(run=run_show)
    _configure_submit(verbs)


def _configure_generate(verbs: Any) -> None:
    """Add the verb that makes tasks."""
    generate = verbs.add_parser(
        "generate",
        help="make a list of tasks",
        description="Make tasks of the packages of suites: of all, of those that are named, or of those that fit "
        "filters. Packages come from the index of a mirror (this machine's own by default) or of a local repository, "
        "or from UDD. They are written longest first.",
    )
    generate.add_argument("--kind", default="rebuild", metavar="KIND", help="what is done (default: rebuild)")
    _suites(generate, required=True)
    generate.add_argument(
        "--arch", action="append", default=[], metavar="ARCH", help="architectures (default: this machine's)"
    )
    where = generate.add_argument_group("where packages come from")
    where.add_argument("--component", action="append", default=[], metavar="NAME", help="components (default: main)")
    where.add_argument("--mirror", default="", metavar="URI", help="a mirror, or the folder of a local repository")
    where.add_argument("--keyring", default="", metavar="FILE", help="the key that signs it")
    where.add_argument("--no-check-gpg", action="store_true", help="take it without a signature")
    where.add_argument(
        "--udd", default="", metavar="DSN", help="read packages from UDD (PostgreSQL), not from an index"
    )
    where.add_argument(
        "--state",
        action="append",
        default=[],
        metavar="STATE",
        help="with --udd: only what wanna-build has in these states",
    )
    which = generate.add_argument_group("which of them")
    which.add_argument("-e", "--packages", action="append", default=[], metavar="NAMES", help="name or name=version, …")
    which.add_argument("--list", action="append", default=[], metavar="FILE", help="a file with a package a line")
    _filters(which)
    estimates = generate.add_argument_group("what estimates come from; else from the size of the source")
    estimates.add_argument("--wanna-build", default="", metavar="DSN", help="wanna-build's pkg_history (PostgreSQL)")
    estimates.add_argument("--results", type=Path, metavar="FOLDER", help="earlier results of ours")
    what = generate.add_argument_group("what the tasks say")
    what.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the kind; the value may be JSON",
    )
    what.add_argument("--requester", default="", metavar="NAME", help="who asks for them")
    what.add_argument("--cause", default="", metavar="TEXT", help="why")
    _output(generate)
    generate.set_defaults(run=run_generate)


def _configure_submit(verbs: Any) -> None:
    """Add the verb that queues tasks."""
    from .queue import add_address

    submit = verbs.add_parser(
        "submit",
        help="queue the tasks of lists",
        description="Queue tasks, longest first, as a run. A task that the run has already is not queued again, and "
        "told with its position: so a run may be submitted again at any time, and only what is missing is added.",
    )
    submit.add_argument("files", nargs="+", metavar="FILE", help=f"{LINES}; - is standard input")
    submit.add_argument("--run", dest="name", required=True, metavar="RUN", help="the name of the run")
    add_address(submit)
    submit.set_defaults(run=run_submit)


def _suites(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    words = {"help": "suites whose packages are taken"} if required else {"help": "keep these suites", "default": []}
    parser.add_argument("--suite", action="append", required=required, metavar="SUITE", **words)


def _filters(group: Any) -> None:
    pattern = {"action": "append", "default": [], "metavar": "PATTERN"}
    group.add_argument("--include", help="keep packages that fit: lib*, or /a regular expression/", **pattern)
    group.add_argument("--exclude", help="leave packages out that fit", **pattern)
    group.add_argument("--shortest", metavar="TIME", help="keep what takes at least so long: 90s, 30m, 2h")
    group.add_argument("--longest", metavar="TIME", help="keep what takes at most so long")


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default="-", metavar="FILE", help="where the list is written (default: here)")


def _words(said: list[str]) -> tuple[str, ...]:
    """Values that were given one by one, or with commas."""
    return tuple(word for text in said for word in text.split(",") if word)


def filter_of(args: argparse.Namespace) -> Any:
    """The filters that were said."""
    from debfleet.tasks.select import Filter, seconds

    return Filter(
        tuple(args.include),
        tuple(args.exclude),
        _words(getattr(args, "suite", [])),
        _words(getattr(args, "arch", [])),
        seconds(args.shortest) if args.shortest else None,
        seconds(args.longest) if args.longest else None,
    )


def options_of(said: list[str]) -> dict[str, Any]:
    """Options from NAME=VALUE: the value as JSON where it is some, else as a text. Raises DebfleetError."""
    options = {}
    for text in said:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise DebfleetError(f"{text!r} is no option", hint="write NAME=VALUE, as nocheck=true")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def run_generate(args: argparse.Namespace) -> int:
    """Make tasks and write them."""
    from debfleet.common.architectures import host
    from debfleet.tasks import generate, lines, named

    packages = named.words(args.packages)
    for file in args.list:
        packages += named.parse(lines.text_of(file), file)
    if args.list and not packages:
        raise DebfleetError("no package is named", where=", ".join(args.list))
    if args.state and not args.udd:
        raise DebfleetError("--state asks the database for states", hint="name it: --udd DSN")
    architectures = _words(args.arch) or (host().name,)
    wanted = generate.Wanted(
        kind=args.kind,
        suites=_words(args.suite),
        architectures=architectures,
        components=_words(args.component) or ("main",),
        mirror=args.mirror,
        keyring=args.keyring,
        no_check=args.no_check_gpg,
        packages=tuple(packages),
        udd=args.udd,
        states=_words(args.state),
        wanna_build=args.wanna_build,
        results=args.results,
        filter=replace(filter_of(args), suites=(), architectures=()),
        options=options_of(args.option),
        requester=args.requester,
        cause=args.cause,
    )
    tasks = generate.generate(wanted)
    lines.write(tasks, args.output)
    _tell(args, tasks)
    return OK


def run_merge(args: argparse.Namespace) -> int:
    """Merge lists, filter, and write."""
    from debfleet.tasks import generate, lines, merge, validate

    merged = merge.merge(validate.read(args.files), args.prefer)
    kept = generate.longest_first(filter_of(args).tasks(merged.tasks))
    lines.write(kept, args.output)
    if not args.quiet:
        for conflict in merged.conflicts:
            print(f"note: {conflict.text()}: the {args.prefer} counts", file=sys.stderr)
        for note in merge.versions(kept):
            print(f"note: {note}", file=sys.stderr)
    _tell(args, kept)
    return OK


def run_validate(args: argparse.Namespace) -> int:
    """Check lists and print all that is wrong."""
    from debfleet.tasks import lines, validate

    problems, counts = [], []
    for file in args.files:
        tasks, found = validate.check(lines.text_of(file), file)
        problems += found
        counts.append((file, len(tasks), len(found)))
    if args.json:
        print(
            json.dumps(
                {"schema_version": 1, "errors": [problem.to_dict() for problem in problems]},
                indent=2,
                ensure_ascii=False,
            )
        )
        return FINDINGS if problems else OK
    for problem in problems:
        print(problem.text())
    for file, right, wrong in () if args.quiet else counts:
        if not wrong:
            print(f"{file}: right, {right} tasks")
    return FINDINGS if problems else OK


def run_show(args: argparse.Namespace) -> int:
    """Show lists as a table."""
    from debfleet.tasks import generate, merge, validate
    from debfleet.tasks.select import shown

    tasks = generate.longest_first(filter_of(args).tasks(merge.merge(validate.read(args.files), "first").tasks))
    rows = [("package", "version", "kind", "suite", "arch", "class", "time", "estimated by")]
    rows += [
        (
            task.package,
            task.version,
            task.kind,
            task.suite,
            task.arch,
            task.size_class,
            shown(task.esttime),
            task.esttime_from,
        )
        for task in tasks
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())
    _tell(args, tasks)
    return OK


def run_submit(args: argparse.Namespace) -> int:
    """Queue the tasks of lists, and tell which were there."""
    from debfleet.tasks import merge, validate

    from .queue import opened

    merged = merge.merge(validate.read(args.files))
    validate.run_name(args.name)
    with opened(args) as queue:
        done = queue.submit(args.name, merged.tasks)
        if not args.quiet:
            for task in done.already[:SHOWN]:
                position = queue.position(args.name, task)
                print(f"{task.path}: {position.text() if position else 'gone'}")
            if (more := len(done.already) - SHOWN) > 0:
                print(f"and {more} more that {args.name} has already")
    print(f"{done.queued} tasks queued" if done.queued != 1 else "1 task queued")
    return OK


def _tell(args: argparse.Namespace, tasks: list[Any]) -> None:
    """What the list has, for the user, where it is in nobody's way."""
    from debfleet.tasks import generate

    if not args.quiet:
        sys.stderr.write(generate.summary(tasks))
