# SPDX-License-Identifier: GPL-3.0-or-later
"""Deciding how the programs of a build's tree are run, and making ready what that takes.

By native tools where that can be: through a binfmt_misc of the build's own, where the kernel has it for a user
namespace (Linux 6.7), else through the dispatcher that this machine has registered. Else all programs are emulated.
What was decided, and why nothing better, is told in the log.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .. import journal
from ..architectures import Architecture
from ..architectures import host as host_row
from ..binfmt import enter, programs, registration
from ..binfmt.programs import NATIVE, Programs
from ..binfmt.registration import Registered
from ..bootstrap.apt import Apt
from ..errors import DebfleetError, MissingError
from . import dispatcher, native, packages, tools, versions
from .layout import lay_out
from .tools import Tools

WAYS = ("auto", "private", "host", "emulated")
FOLDER = "foreign"  # in the build's folder: what is bound beside the tools
LINUX = "Linux 6.7 and later have a binfmt_misc for each user namespace"


@dataclass(frozen=True)
class Wish:
    """What is wanted.

    :param build: the build's folder.
    :param suite: its codename.
    :param way: one of WAYS.
    :param image: the image's apt, with its indices.
    :param native: makes apt of this machine's architecture ready in a folder; asked only when it is needed.
    """

    build: Path
    suite: str
    way: str
    image: Apt
    native: Callable[[Path], Apt]


@dataclass(frozen=True)
class Way:
    """A way that is there: the interpreter's line, or the machine's registration, and whether it takes tools."""

    told: str
    private: bool
    takes_tools: bool


def choose(wanted: str, private: str, has: Registered | None, row: Architecture) -> Way:
    """Choose the way.

    :param wanted: one of WAYS.
    :param private: why a registration of our own can't be made; empty where it can.
    :param has: what the machine has registered.
    :raises MissingError: where none is there, or not the one that is wanted.
    """
    reaches = has is not None and has.reaches_trees
    ours = has is not None and dispatcher.NAME in Path(has.interpreter).name
    if wanted == "emulated":
        if has and reaches and not ours:
            return Way(f"emulated by this machine's registration {has.name}", False, False)
        if not private:
            return Way("emulated, by a registration of the build's own", True, False)
    elif wanted in ("auto", "private") and not private:
        return Way("native tools, by a registration of the build's own", True, True)
    elif wanted in ("auto", "host") and has and reaches:
        if ours:
            return Way(f"native tools, by this machine's registration {has.name}", False, True)
        return Way(f"all emulated, by this machine's registration {has.name}, which has no native tools", False, False)
    raise MissingError(
        f"programs of {row.name} can't be run on this machine",
        why=_why(wanted, private, has),
        hint=f"apt-get install qemu-user-static binfmt-support registers an emulator; {LINUX}",
    )


def _why(wanted: str, private: str, has: Registered | None) -> str:
    if has is None:
        machine = "this machine has no interpreter registered for them"
    else:
        machine = f"the interpreter that is registered as {has.name} is not in the image (it lacks the flag F)"
    asked = {"private": [private], "host": [machine]}.get(wanted, [f"of the build's own: {private}", machine])
    return "\n".join(filter(None, asked))


def private_trouble(row: Architecture, interpreter: Path) -> str:
    """Why an interpreter can't be registered for a build alone; empty where it can, which is found by doing it."""
    line = registration.line(row, interpreter)
    done = subprocess.run([*enter.words(line), "true"], check=False, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit {done.returncode}"


def emulator(row: Architecture) -> Path:
    """The program that emulates those of an architecture. Raises MissingError, naming its package."""
    found = programs.find(row)
    if found is None:
        raise MissingError(
            f"{row.qemu_user}, which runs programs of {row.name}, is not installed",
            hint="apt-get install qemu-user-static (Debian 13: qemu-user)",
        )
    return found


def prepare(row: Architecture, wish: Wish) -> str:
    """Decide, make ready what it takes, and leave it for all further steps of the build.

    :returns: in words, how programs are run; nothing where they are this machine's own.

    :raises MissingError: where an emulator is missing, a compiler for the dispatcher, or every way.
    :raises DebfleetError: where the way is asked for by name, and no tools are there for it.
    """
    if programs.runs_here(row):
        return ""
    found_emulator = emulator(row)
    has = registration.registered(row)
    way = choose(wish.way, private_trouble(row, found_emulator), has, row)
    journal.log(f"# programs of {row.name}: {way.told}")
    found = _with_tools(row, wish, way, found_emulator) if way.takes_tools else None
    told = way.told
    if found is None:
        told = "all emulated" if way.takes_tools else told
        found = Programs(row.name, registration.line(row, found_emulator) if way.private else "")
    found.save(wish.build)
    return told


def _with_tools(row: Architecture, wish: Wish, way: Way, by: Path) -> Programs | None:
    program = dispatcher.asked()
    try:
        made, verdict = _tools(row, wish)
    except DebfleetError as error:
        if wish.way != "auto":
            raise
        journal.log(f"# all programs of {row.name} are emulated, for there are no native tools: {error}")
        return None
    if verdict.whole:
        told = "; ".join(f"{name} {why}" for name, why in verdict.refused.items())
        if wish.way != "auto":
            raise DebfleetError("the native tools are of other versions than the image", why=told)
        journal.log(f"# all programs of {row.name} are emulated, for native tools have other versions: {told}")
        return None
    for name, why in verdict.refused.items():
        journal.log(f"# emulated, for it is of another version: {name} {why}")
    folder = wish.build / FOLDER
    count = lay_out(
        folder, made.folder, made.programs,
        here=host_row(), there=row, refused=verdict.refused, emulator=by,
    )  # fmt: skip
    journal.log(f"# {count} programs are native, from {made.folder}")
    binds = {str(made.folder): NATIVE, str(folder): f"{NATIVE}/{native.ROOM}"}
    return Programs(row.name, registration.line(row, program) if way.private else "", binds)


def _tools(row: Architecture, wish: Wish) -> tuple[Tools, versions.Verdict]:
    here = host_row()
    native.replacements(here)
    image = packages.of_image(wish.image)
    found = tools.find(wish.suite, here, image)
    if found is None:
        journal.tell(f"getting native tools for {row.name}")
        apt = wish.native(wish.build / FOLDER)
        packages.hold(apt, wish.image, image)
        there = packages.versions(apt, [*packages.WANTED, *packages.interpreters(apt)])
        found = tools.make(wish.suite, here, there, partial(packages.get, apt))
    return found, versions.compare(found.versions, image)
