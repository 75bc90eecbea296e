# SPDX-License-Identifier: GPL-3.0-or-later
"""`debfleet results`: what came of tasks, found by the indexes, read, and removed run by run."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from debfleet.common.errors import OK, DebfleetError
from debfleet.common.sizes import shown as size_shown

if TYPE_CHECKING:
    from debfleet.results.paths import Place
    from debfleet.results.result import Failure, Result
    from debfleet.results.store import Store

WHICH = "RUN/KIND/SUITE/ARCH/PACKAGE/VERSION"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    listing = verbs.add_parser(
        "list",
        help="final results, by run, package, suite and architecture",
        description="List final results from the indexes; of several conditions, those that fit each.",
    )
    for name, what in (("run", "of this run"), ("package", "of this package"), ("suite", ""), ("arch", "")):
        dest = "of_run" if name == "run" else name
        listing.add_argument(f"--{name}", dest=dest, default="", metavar=name.upper(), help=what or f"of this {name}")
    listing.add_argument("--outcome", default="", metavar="OUTCOME", help="success, failure or infrastructure")
    listing.add_argument("--class", dest="category", default="", metavar="CLASS", help="failures of this class")
    listing.add_argument("--signature", default="", metavar="ID", help="failures of this signature")
    listing.set_defaults(run=run_list)
    show = verbs.add_parser("show", help="a result, or one of its attempts")
    show.set_defaults(run=run_show)
    log = verbs.add_parser("log", help="the log of a result, or of one of its attempts")
    log.set_defaults(run=run_log)
    for verb in (show, log):
        verb.add_argument("which", metavar=WHICH, help="the result")
        verb.add_argument("--attempt", metavar="N", help="this attempt, not the one that counts; or N-interrupted-M")
    classify = verbs.add_parser(
        "classify",
        help="what failed, by a log",
        description="Tell by a log what failed: the stage, a coarse class, the likely cause, the lines that say so, "
        "and a signature that is equal for the same failure of two runs. The log may be sbuild's, or any other.",
    )
    classify.add_argument("which", metavar="FILE", help=f"a log, - for standard input, or a result: {WHICH}")
    classify.add_argument("--attempt", metavar="N", help="of a result: the log of this attempt")
    classify.set_defaults(run=run_classify)
    clean = verbs.add_parser(
        "clean",
        help="remove a run",
        description="Remove all results of a run, and its rows in the indexes. A run that has tasks in the queue "
        "which wait or run is refused. Without --yes nothing is done but told.",
    )
    clean.add_argument("name", metavar="RUN", help="the run")
    clean.add_argument("--yes", action="store_true", help="do it")
    clean.set_defaults(run=run_clean)
    from .queue import add_address

    add_address(clean)
    index = verbs.add_parser("index", help="make the indexes anew from the results")
    index.set_defaults(run=run_index)
    for verb in (listing, show, classify, clean):
        verb.add_argument("--json", action="store_true", help="print it as JSON")
    for verb in (listing, show, log, classify, clean, index):
        verb.add_argument(
            "--store", metavar="ADDRESS", help="where results are kept (default: DEBFLEET_RESULTS, else ./results)"
        )


def _store(args: argparse.Namespace) -> Store:
    from debfleet.results import address

    return address.opened(args.store or address.default())


def _json(said: dict[str, Any]) -> None:
    print(json.dumps({"schema_version": 1, **said}, indent=2, ensure_ascii=False))


def _table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


def run_list(args: argparse.Namespace) -> int:
    """Print the rows of an index."""
    from debfleet.results import index
    from debfleet.tasks.select import shown

    wanted = {name: getattr(args, name) for name in ("outcome", "category", "signature") if getattr(args, name)}
    found = [
        row
        for row in index.rows(_store(args), args.of_run, args.package, args.suite, args.arch)
        if all(getattr(row, name) == value for name, value in wanted.items())
    ]
    if args.json:
        _json({"results": [row.to_dict() for row in found]})
        return OK
    if not found:
        if not args.quiet:
            print("no results", file=sys.stderr)
        return OK
    _table(
        [
            ("result", "outcome", "stage", "class", "signature", "attempt", "time"),
            *(
                (row.place.path, row.outcome, row.stage, row.category, row.signature)
                + (str(row.attempt), shown(row.seconds))
                for row in found
            ),
        ]
    )
    return OK


def _found(store: Store, args: argparse.Namespace) -> Result:
    """The result that was named, or its attempt."""
    from debfleet.results import commit
    from debfleet.results.paths import Attempt, Place

    place = Place.parse(args.which)
    if args.attempt is None:
        result = commit.read(store, place.result)
        hint = _attempts(store, place)
    else:
        attempt = Attempt.parse(args.attempt)
        if attempt is None:
            raise DebfleetError(f"{args.attempt} is no attempt", hint="write 1, or 1-interrupted-2")
        result = commit.read(store, f"{place.attempt(attempt.number, attempt.interruption)}/result.json")
        hint = _attempts(store, place)
    if result is None:
        raise DebfleetError("there is no such result", where=f"{store.address}/{place.path}", hint=hint)
    return result


def _attempts(store: Store, place: Place) -> str:
    names = store.folders(f"{place.path}/attempts/")
    return f"attempts that there are: {', '.join(names)} (--attempt)" if names else "debfleet results list"


def run_show(args: argparse.Namespace) -> int:
    """Print one result."""
    result = _found(_store(args), args)
    if args.json:
        sys.stdout.write(result.to_bytes().decode())
        return OK
    for name, value in _told(result):
        print(f"{name:12} {value}")
    return OK


def _told(result: Result) -> list[tuple[str, str]]:
    """A result for a reader."""
    from debfleet.results.text import clean
    from debfleet.tasks.select import shown

    said = [("result", result.place.path), ("outcome", result.outcome)]
    said += [("counts", result.final.why)] if result.final else []
    took = f"{shown(round(result.seconds))}, {shown(result.esttime)} estimated" if result.esttime else ""
    said += [("attempt", str(result.attempt)), ("time", took or shown(round(result.seconds)))]
    said += [("started", result.started), ("finished", result.finished), ("node", result.node)]
    said += [("memory", size_shown(result.peak_memory)) if result.peak_memory else ("", "")]
    said += [("disk", size_shown(result.disk)) if result.disk else ("", "")]
    said += [("requester", result.requester), ("cause", result.cause)]
    said += [("options", json.dumps(dict(result.options)) if result.options else "")]
    said += [("cost", " ".join(str(value) for value in result.cost.values()))]
    said += failure_told(result.failure) if result.failure else []
    said += [("log", result.log.file if result.log else "")]
    said += [("artifact", f"{file.file}, {size_shown(file.size)}") for file in result.artifacts]
    return [(name, clean(value)) for name, value in said if value]


def failure_told(failure: Failure) -> list[tuple[str, str]]:
    """A failure for a reader."""
    whose = "the infrastructure's" if failure.infrastructure else "the package's own"
    said = [("stage", failure.stage), ("class", f"{failure.category}, {whose}"), ("likely", failure.cause)]
    said += [("signature", f"{failure.signature} {failure.line}")]
    return said + [(f"line {line.number}", line.text) for line in failure.lines]


@contextlib.contextmanager
def _log(args: argparse.Namespace) -> Iterator[IO[bytes]]:
    """The log of the result that was named."""
    from debfleet.results import text

    store = _store(args)
    result = _found(store, args)
    if result.log is None:
        raise DebfleetError("the result has no log", where=f"{store.address}/{result.place.path}")
    key = f"{result.place.path}/{result.log.file}"
    with store.open(key) as packed, text.unpacked(packed, key) as log:
        yield log


@contextlib.contextmanager
def _file_or_log(args: argparse.Namespace) -> Iterator[IO[bytes]]:
    """The file that was named, or the log of that result."""
    from debfleet.results import text

    if args.which != "-" and not Path(args.which).is_file():
        with _log(args) as log:
            yield log
        return
    try:
        with (
            contextlib.nullcontext(sys.stdin.buffer) if args.which == "-" else open(args.which, "rb") as file,
            text.unpacked(file, args.which) as log,
        ):
            yield log
    except OSError as error:
        raise DebfleetError("could not read the log", where=args.which, why=str(error)) from error


def run_classify(args: argparse.Namespace) -> int:
    """Print what failed."""
    from debfleet.results.classify import classify

    with _file_or_log(args) as log:
        report = classify(log)
    if args.json:
        failure = report.failure.to_dict() if report.failure else None
        told = {"lines": report.lines, "failure": failure, "stage_seconds": dict(report.stage_seconds)}
        _json({**told, "disk": report.disk, "packages": dict(report.packages)})
        return OK
    if report.failure is None:
        print("nothing failed, by the log's Summary")
        return OK
    for name, value in failure_told(report.failure):
        print(f"{name:12} {value}")
    return OK


def run_log(args: argparse.Namespace) -> int:
    """Print a log, without what a terminal would obey."""
    from debfleet.results import text

    with _log(args) as log:
        if sys.stdout.isatty():
            for line in text.lines(log):
                print(text.clean(line.decode(errors="replace")))
        else:
            while piece := log.read(1 << 16):
                sys.stdout.buffer.write(piece)
    return OK


def run_clean(args: argparse.Namespace) -> int:
    """Remove a run, or tell what that would be."""
    from debfleet.results import clean

    from .queue import opened

    store = _store(args)
    removal = clean.look(store, args.name)
    with opened(args) as queue:
        counts = queue.counts().get(args.name)
    if counts and not counts.over:
        raise DebfleetError(
            f"the run {args.name} is live",
            why=f"{counts.running} of its tasks are running, {counts.waiting} wait",
            hint=f"wait; or stop its workers, and debfleet queue purge {args.name}",
        )
    if args.yes:
        clean.remove(store, args.name)
    if args.json:
        _json({"run": args.name, "removed": args.yes, **vars(removal)})
        return OK
    what = f"{removal.results} results of {args.name}: {removal.files} files, {size_shown(removal.size)}"
    print(f"removed {what}" if args.yes else f"would remove {what}; --yes does it")
    return OK


def run_index(args: argparse.Namespace) -> int:
    """Make the indexes anew."""
    from debfleet.results import index

    done = index.rebuild(_store(args))
    print(f"{done.results} results: {done.added} rows added, {done.deleted} deleted")
    return OK
