# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``debfleet NOUN VERB``. One noun a file of this folder.

A noun's module has ``configure(parser)``, which adds its verbs (``parser.add_subparsers`` …) and gives each
``set_defaults(run=FUNCTION)``. The function takes the parsed arguments and returns an exit code of
``debfleet.common.errors``, or raises a DebfleetError. Every command has the common options without asking: ``quiet``
(bool), ``verbose`` (how often -v was said) and ``color`` (whether stdout may be coloured); ``words`` are all its words
as they were typed. Only the noun that is asked for is imported, and a noun imports what is slow to load inside its
functions: help and completion come at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Container, Sequence
from typing import Any

from debfleet import __version__
from debfleet.common import errors
from debfleet.common.run import raise_on_signals

# What each noun is for; the module of that name in this folder has its verbs.
NOUNS = {
    "manifest": "check the declaration of an image, and plan its build",
    "image": "look into images, list, compare and enter them",
    "tasks": "lists of tasks: make, merge, check, show, submit",
    "queue": "what waits, runs, is done and failed",
    "results": "what came of tasks: find, read, classify, remove",
    "domain-xml": "the XML of a libvirt domain for an image of any architecture",
    "doctor": "what this machine lacks, and the command that mends it",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Reads sys.argv when nothing is given."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if argv is None:
            raise_on_signals()
        completing = "_ARGCOMPLETE" in os.environ
        top = parser(NOUNS if completing else [word for word in words if word in NOUNS][:1])
        if completing:
            complete(top)
        arguments = top.parse_args(words, argparse.Namespace(words=words))
        if "run" not in arguments:
            arguments.incomplete.print_help(sys.stderr)
            return errors.USAGE
        code = int(arguments.run(arguments))
        sys.stdout.flush()
        return code
    except errors.DebfleetError as error:
        print(f"debfleet: {error}", file=sys.stderr)
        return error.code
    except (KeyboardInterrupt, errors.Interrupted):
        print("debfleet: interrupted", file=sys.stderr)
        return errors.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough; nothing more can be written, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return errors.FAILED


def parser(loaded: Container[str] = ()) -> argparse.ArgumentParser:
    """The parser of the whole command, with the verbs of the nouns in ``loaded``."""
    top = Command(
        prog="debfleet",
        description="Debian images, fleets of machines from them, and the archive rebuilt on those fleets.",
        epilog="Exit codes: 0 well, 1 findings, 2 wrong usage, 3 something is missing, 4 failed, 130 interrupted. "
        "Images are built by ansible-playbook: see playbooks/.",
    )
    top.add_argument("--version", action="version", version=f"debfleet {__version__}")
    top.set_defaults(incomplete=top, quiet=False, verbose=0, color=colors_wanted())
    nouns = top.add_subparsers(title="nouns", metavar="NOUN")
    for name, purpose in NOUNS.items():
        noun = nouns.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        noun.set_defaults(incomplete=noun)
        if name in loaded:
            importlib.import_module(f"{__name__}.{name.replace('-', '_')}").configure(noun)
    return top


class Command(argparse.ArgumentParser):
    """A parser with the common options; the parsers below it are of this class too."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # No defaults here, lest those after the verb undo what was said before the noun: the topmost parser sets them.
        unset = argparse.SUPPRESS
        group = self.add_argument_group("common options")
        group.add_argument("-q", "--quiet", action="store_true", default=unset, help="say only what was asked for")
        group.add_argument("-v", "--verbose", action="count", default=unset, help="say more")
        group.add_argument(
            *("--no-color", "--no-colour"),
            dest="color",
            action="store_false",
            default=unset,
            help="no colours (also with NO_COLOR set, or when not on a terminal)",
        )


def colors_wanted() -> bool:
    """Whether colours make sense where stdout goes."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def complete(top: argparse.ArgumentParser) -> None:
    """Answer the shell that asks how the command line may go on; ends the process."""
    import argcomplete

    argcomplete.autocomplete(top)
