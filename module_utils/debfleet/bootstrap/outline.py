# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt knows of its sources, without what they hold: its lists with every index emptied.

apt answers from it what it would from the whole lists, in a hundredth of a second where it has no cache of them.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from pathlib import Path

from ..run import run

INDEX = re.compile(r"(.+_(?:Packages|Sources))(?:\.\w+)?$")


def outline(lists: Path, folder: Path) -> list[str]:
    """Make it of a folder of lists in another, whatever that held. Returns the words that let apt read it, and no cache
    of this machine's.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "partial").mkdir(parents=True)
    for path in lists.iterdir():
        if path.name.endswith("Release"):
            shutil.copyfile(path, folder / path.name)
        elif match := INDEX.match(path.name):
            (folder / match[1]).touch()
    options = {"Dir::State::lists": folder, "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": ""}
    return [f"-o{name}={value}" for name, value in options.items()]


def targets_of_machine(form: str) -> str:
    """What `apt-get indextargets` says here of this machine's own lists, a line each in this form."""
    where = shlex.split(run(["apt-config", "shell", "lists", "Dir::State::lists/d"]).stdout)
    with tempfile.TemporaryDirectory(prefix="debfleet-") as folder:
        options = outline(Path(where[0].partition("=")[2]), Path(folder) / "lists")
        return run(["apt-get", *options, "indextargets", "--format", form]).stdout
