# SPDX-License-Identifier: GPL-3.0-or-later
"""Running things as a user who isn't root, on a machine that has no such user.

The user, with subordinate ids and a home, is in a mount namespace only, which ends with what runs in it; the machine's
/etc/passwd stays as it is. What the user has to read, and can't from where it lies, is shown there too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from plays import ROOT

NAME, UID = "ordinary", 51234
FIRST, COUNT = 700_000, 65_536  # subordinate ids
HOME = Path("/home/ordinary")
SYSTEM = {"passwd": f"{NAME}:x:{UID}:{UID}:an ordinary user:{HOME}:/bin/sh", "group": f"{NAME}:x:{UID}:"}
# $1 is a folder with files for /etc, $2 what is shown as the user's home; then what is shown besides, each before a
# word that says below which folder that is closed to others, up to `--`; then the command.
ENTER = f"""
set -e
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir /mnt/home; mount --bind "$2" /mnt/home
for file in "$1"/*; do mount --bind "$file" "/etc/${{file##*/}}"; done
shift 2
count=0
for word; do
  [ "$word" != -- ] || break
  count=$((count + 1))
  mkdir "/mnt/$count"
  mount --rbind "$word" "/mnt/$count"
done
place=0
while [ "$1" != -- ]; do
  place=$((place + 1))
  closed=
  path=$1
  while [ "$path" != / ]; do
    [ ! -e "$path" ] || setpriv --reuid {UID} --regid {UID} --clear-groups test -x "$path" || closed=$path
    path=$(dirname "$path")
  done
  if [ -n "$closed" ]; then
    mount -t tmpfs -o mode=0755 tmpfs "$closed"
    mkdir -p "$1"
    mount --rbind "/mnt/$place" "$1"
  elif ! [ "$1" -ef "/mnt/$place" ]; then # a folder above it was closed, and is covered
    mkdir -p "$1"
    mount --rbind "/mnt/$place" "$1"
  fi
  shift
done
shift
mount -t tmpfs -o mode=0755 tmpfs /home
mkdir {HOME}; mount --bind /mnt/home {HOME}
umount --lazy /mnt
cd {HOME}
exec setpriv --reuid {UID} --regid {UID} --clear-groups -- "$@"
"""


def command(argv: Sequence[str | Path], folder: Path, *, ids: int = COUNT, shown: Sequence[Path] = ()) -> list[str]:
    """The command that runs argv as that user, in its home, which is a folder in `folder`.

    :param ids: how many subordinate ids the user has.
    :param shown: folders that the user can read besides the clone and its Python.
    """
    etc = folder / "etc"
    etc.mkdir(exist_ok=True)
    for name, line in SYSTEM.items():
        (etc / name).write_text(Path(f"/etc/{name}").read_text() + line + "\n")
    for name in ("subuid", "subgid"):
        (etc / name).write_text(f"{NAME}:{FIRST}:{ids}\n" if ids else "")
    place = home(folder)
    seen = [ROOT, Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent, *shown]
    outside = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", ENTER, "sh", str(etc), str(place)]
    return [*outside, *dict.fromkeys(map(str, seen)), "--", *map(str, argv)]


def home(folder: Path) -> Path:
    """The user's home as we see it."""
    place = folder / "home"
    if not place.exists():
        place.mkdir()
        os.chown(place, UID, UID)
    return place


def environment() -> dict[str, str]:
    """What a login gives: nothing of root's."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(HOME),
        "USER": NAME,
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    }
