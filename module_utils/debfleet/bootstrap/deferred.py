# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that maintainer scripts call and nothing waits for: run on another processor while dpkg goes on.

While packages are installed, a folder of small scripts stands first in the path of maintainer scripts. Each begins the
real program in the background and returns at once; who installs waits for them at the end, and fails if one of them
did. Calls of one program run one after the other, for the last must see all; only those of SIDE_BY_SIDE, which touch
nothing in common, take as many processors as there are. Host keys are not made at all: no image keeps any.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .. import journal
from ..errors import DebfleetError
from ..namespace import ENVIRONMENT

INSIDE = "/run/.deferred"
PATH = ENVIRONMENT["PATH"]
# What each makes is used by nobody before the packages are installed: compiled locales, the kernel's list of modules,
# Python's byte code, the list of trusted certificates.
PROGRAMS = ("localedef", "depmod", "py3compile", "update-ca-certificates")
SIDE_BY_SIDE = ("py3compile",)
# Certificates are made at once where others may need them while packages are installed: hooks of other packages, and
# programs with which a maintainer script may get something from the net.
AT_ONCE = """\
case $real in */update-ca-certificates)
  for one in /etc/ca-certificates/update.d/* /usr/bin/curl /usr/bin/wget; do
    if [ -e "$one" ]; then flock "$here/pending" true; exec "$real" "$@"; fi
  done ;;
esac"""
STUB = f"""\
#!/bin/sh
here={INSIDE} PATH={PATH}
real=$(command -v "${{0##*/}}") || exit 0
command -v flock >/dev/null || exec "$real" "$@"
{AT_ONCE}
exec 9>>"$here/pending"
flock --shared 9
(
  flock 8 # whose turn it is
  "$real" "$@" || echo "${{0##*/}} $*: exit $?" >>"$here/failed"
) </dev/null >>"$here/said" 2>&1 8>>"$here/turn.${{0##*/}}.$(($$ % SLOTS))" &
"""
NO_HOST_KEYS = f"""\
#!/bin/sh
case " $* " in *" /etc/ssh/ssh_host_"*) exit 0 ;; esac
PATH={PATH} exec ssh-keygen "$@"
"""
# $1 is the folder; what follows is the command. What is begun in the background holds the lock.
WAIT = 'folder=$1; shift; "$@" && flock "$folder/pending" true'


def lay_out(folder: Path) -> Path:
    """Make the folder of scripts, empty of what an earlier run left. It is to be bound to INSIDE."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        slots = (os.cpu_count() or 1) if name in SIDE_BY_SIDE else 1
        _script(folder / "bin" / name, STUB.replace("SLOTS", str(slots)))
    _script(folder / "bin/ssh-keygen", NO_HOST_KEYS)
    return folder


def path() -> str:
    """The path of maintainer scripts."""
    return f"{INSIDE}/bin:{PATH}"


def waiting(folder: Path, argv: list[str]) -> list[str]:
    """The command line that runs argv, and when it has succeeded waits for what it has begun."""
    return ["sh", "-c", WAIT, "sh", str(folder), *argv]


def look(folder: Path) -> None:
    """Write what the programs said to the log. Raises DebfleetError where one failed."""
    said = _read(folder / "said")
    journal.log("".join(f"| {line}\n" for line in said.splitlines()))
    if failed := _read(folder / "failed"):
        why = "\n".join(said.splitlines()[-15:])
        raise DebfleetError(f"a program that packages call failed: {failed.strip()}", why=why)


def _script(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
