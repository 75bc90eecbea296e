# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell where a build failed, before its rollback: in the place and with the environment of the failing command."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import journal, userns
from ..binfmt import enter, programs
from ..binfmt.programs import NATIVELY
from ..inspect.root import Root
from ..namespace import ENTER, ENVIRONMENT, INIT, UNSHARE, proxies
from ..workspace import MARK
from .terminal import attached, controlling

LAST_LINES = 12  # of the log
ENV = ("env", "/usr/bin/env")
PLACEHOLDERS = ("usr/sbin/policy-rc.d", "etc/resolv.conf")  # what entering a tree binds over


@dataclass(frozen=True)
class Command:
    """A command that failed: what puts it into its place (namespaces, root, environment), and it itself.

    :param inside: whether it ran inside the root tree.
    :param told: it as the log shows it, and how it ended.
    :param fds: descriptors that it was given; nobody reads from them any more.
    """

    place: list[str]
    argv: list[str]
    inside: bool
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    stdin: str | None = None
    fds: Sequence[int] = ()
    told: str = ""

    def line(self) -> str:
        """A line for bash that runs it again."""
        words = [shlex.join(self.argv), *(f"{fd}>/dev/null" for fd in self.fds)]
        return " ".join([*words, *([f"<<< {shlex.quote(self.stdin)}"] if self.stdin else ["</dev/null"])])


def failed_command(work: Path, told: str) -> Command | None:
    """The command that a build in this folder failed with; None where it was something else.

    :param told: all that is said of the failure: the command is the cause only where that has its words.
    """
    try:
        note = json.loads((work / journal.FAILED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if note["told"] not in told:
        return None
    place, argv, inside = parted(note["argv"])
    return Command(place, argv, inside, note["env"], note["cwd"], note["stdin"], note["fds"], note["told"])


def parted(argv: Sequence[str]) -> tuple[list[str], list[str], bool]:
    """Part a command line in what puts it into its place, and the command; and tell whether it is inside the tree."""
    at, inside = 0, False
    for entering in (userns.entering(), enter.words(argv[4] if len(argv) > 4 else "")):  # they are put before again
        argv = argv[len(entering) :] if list(argv[: len(entering)]) == entering else argv
    if list(argv[: len(UNSHARE)]) == UNSHARE:
        at = argv.index("--", len(UNSHARE)) + 1
    if argv[at : at + 3] == ["sh", "-c", INIT]:
        at = argv.index("--", at) + 1
    if argv[at : at + 3] == ["sh", "-c", ENTER]:
        at, inside = at + 5, True
    if argv[at : at + 1] and argv[at] in ENV and argv[at + 1 : at + 2] == ["-i"]:
        at += 2
        while at < len(argv) and "=" in argv[at]:
            at += 1
    return list(argv[:at]), list(argv[at:]), inside


def in_tree(root: Path, work: Path) -> list[str]:
    """What puts a command into the tree of the build in a folder."""
    variables = [f"{name}={value}" for name, value in {**ENVIRONMENT, **proxies()}.items()]
    binds = [word for host, inside in programs.of(root, work).binds.items() for word in (host, inside)]
    ready = [*UNSHARE, "--mount-proc", "--", "sh", "-c", INIT, "sh", str(root), *binds, "--"]
    return [*ready, "sh", "-c", ENTER, "sh", str(root), "/usr/bin/env", "-i", *variables]


def without_lost_binds(place: Sequence[str]) -> list[str]:
    """The same place without binding what the failing step has taken away since."""
    words = list(place)
    if INIT not in words:
        return words
    first = words.index(INIT) + 3
    last = words.index("--", first)
    pairs = [words[n : n + 2] for n in range(first, last, 2)]
    return [*words[:first], *(word for pair in pairs if Path(pair[0]).exists() for word in pair), *words[last:]]


def open_shell(work: Path, root: Path | None, where: str, told: str) -> None:
    """Open a shell on the terminal of this process, and return when it is left.

    :param work: the build's folder.
    :param root: its root tree, where there is one.
    :param where: the phase or task that failed, for the prompt.
    :param told: all that was said of the failure.
    Raises OSError where this process has no terminal.
    """
    command = failed_command(work, told)
    tree = root if root and Root(root).exists("/bin/sh") else None
    if command:
        place, inside = without_lost_binds(command.place), command.inside
    elif tree:
        place, inside = in_tree(tree, work), True
    else:
        place, inside = [], False
    bash = Root(tree).exists("/bin/bash") if tree and inside else os.access("/bin/bash", os.X_OK)
    variables = {"PS1": f"({where}) \\w\\$ ", "HISTFILE": "/dev/null", "TERM": os.environ.get("TERM", "linux")}
    if command and bash:
        variables["BASH_FUNC_rerun%%"] = f"() {{ {command.line()}\n}}"
    if root and not inside:
        variables["ROOT"] = str(root)
    shell = ["/bin/bash", "--norc", "--noprofile", "-i"] if bash else ["/bin/sh", "-i"]
    how = programs.of(root, work) if root else NATIVELY
    place = [*how.entering(), *(place or [*UNSHARE, "--mount-proc", "--"])]
    words = [*place, "env", *(f"{name}={value}" for name, value in variables.items()), *shell]
    with controlling() as terminal, _placeholders([root / name for name in PLACEHOLDERS] if root and tree else []):
        os.write(terminal, _greeting(work, root, command, inside, bash).encode())
        attached(
            words,
            env={**os.environ, **(command.env if command else {}), MARK: str(work)},
            cwd=(command and command.cwd) or work,
            terminal=terminal,
        )
        os.write(terminal, b"going on with the rollback\n")


@contextlib.contextmanager
def _placeholders(paths: Sequence[Path]) -> Iterator[None]:
    """Empty files to bind over, where there are none; gone again at the end."""
    made = [path for path in paths if not os.path.lexists(path) and path.parent.is_dir()]
    for path in made:
        path.touch()
    try:
        yield
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def _greeting(work: Path, root: Path | None, command: Command | None, inside: bool, bash: bool) -> str:
    lines = ["", "the log's last lines:"]
    with contextlib.suppress(OSError):
        log = (work / journal.LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        lines += [f"  {line}" for line in log[-LAST_LINES:]]
    if command:
        lines += ["the command that failed:", f"  {command.told}"]
        lines += ["`rerun` runs it again."] if bash else []
    if inside:
        lines += [f"This shell is inside the image's tree, which is {root} outside."]
    else:
        lines += [
            "This shell is outside of the image's tree" + (f"; chroot $ROOT enters it ({root})." if root else ".")
        ]
    return "\n".join([*lines, "`exit` goes on with the rollback; the build fails as it would have.", ""])
