# SPDX-License-Identifier: GPL-3.0-or-later
"""The dispatcher's program: compiled by the set-up, else at its first use, into the cache.

Its source lies beside this file, which modules that Ansible carries have not: they ask the installed debfleet.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from ..errors import DebfleetError, MissingError
from ..ledger import cache_folder
from ..run import CommandError, run

SOURCE = "dispatcher.c"
NAME = "dispatcher"
FLAGS = ("-std=gnu11", "-O2", "-static", "-Wall", "-Wextra", "-Werror")
PACKAGES = "gcc libc6-dev"


def places(digest: str) -> list[Path]:
    """Where the program may lie: in debfleet's own environment, as the set-up leaves it, and in the cache."""
    name = f"{NAME}-{digest}"
    return [Path(sys.prefix) / "libexec/debfleet" / name, cache_folder() / "foreign/programs" / name]


def source() -> Path:
    """Its source. Raises DebfleetError where this isn't an installed debfleet."""
    path = Path(__file__).with_name(SOURCE)
    if not path.is_file():
        raise DebfleetError(f"{SOURCE} is not here", where=str(path.parent), hint="install debfleet anew")
    return path


def program(into: Path | None = None) -> Path:
    """The program; compiled where it is not there yet.

    :param into: the folder to put it in, should it be compiled; the cache's by default.
    :raises MissingError: where there is no compiler, naming the packages.
    """
    text = source()
    digest = hashlib.sha256(text.read_bytes()).hexdigest()[:16]
    known = places(digest)
    wanted = into / known[0].name if into else known[-1]
    if found := next((path for path in ([wanted] if into else known) if os.access(path, os.X_OK)), None):
        return found
    compiler = next((name for name in ("gcc", "cc") if shutil.which(name)), "")
    if not compiler:
        raise MissingError(
            "the program that runs native tools in an image of another architecture is not compiled",
            why="there is no C compiler here",
            hint=f"apt-get install {PACKAGES}; or -e foreign=emulated, which is many times slower",
        )
    wanted.parent.mkdir(parents=True, exist_ok=True)
    new = wanted.with_name(f".{os.getpid()}-{wanted.name}")
    try:
        run([compiler, *FLAGS, "-o", new, text])
        new.chmod(0o755)
        new.replace(wanted)
    except CommandError as error:
        hint = f"apt-get install {PACKAGES}"
        raise MissingError("the dispatcher could not be compiled", why=error.why, hint=hint) from error
    finally:
        new.unlink(missing_ok=True)
    return wanted


def asked() -> Path:
    """The program, from the installed debfleet; for code that Ansible carries, which has no files beside it.

    :raises MissingError: see `program`.
    """
    if Path(__file__).with_name(SOURCE).is_file():
        return program()
    try:
        return Path(run([sys.executable, "-P", "-m", "debfleet.common.foreign.dispatcher"]).stdout.strip())
    except CommandError as error:
        what, _, rest = error.output.strip().partition("\n")
        raise MissingError(what, why=rest.strip(), hint=f"apt-get install {PACKAGES}") from error


def main() -> None:
    """Print the program's path; compile it first where it isn't there. A folder as argument is where to."""
    try:
        print(program(Path(sys.argv[1]) if sys.argv[1:] else None))
    except DebfleetError as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)


if __name__ == "__main__":
    main()
