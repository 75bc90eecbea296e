# SPDX-License-Identifier: GPL-3.0-or-later
"""Building an image a second time as somebody else would, and where the two differ."""

from __future__ import annotations

import subprocess
from pathlib import Path

import plays

HABITS = {"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "LANGUAGE": "de", "LC_ALL": "C.UTF-8"}
SCRIPT = 'umask 077; hostname elsewhere; exec "$@"'


def elsewhere(folder: Path, path: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Build in this folder on a machine of another name, by a user of other habits."""
    argv = ["unshare", "--uts", "sh", "-c", SCRIPT, "sh", *plays.command("build-image", manifest=path, **extra)]
    environment = {**plays.environment(folder), **HABITS, "HOME": str(folder)}
    return subprocess.run(
        argv, cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip


def differing(a: Path, b: Path) -> str:
    """Where two images differ, for whoever sees a test fail."""
    done = subprocess.run(["cmp", "-l", a, b], text=True, capture_output=True, check=False)
    return f"{len(done.stdout.splitlines())} bytes differ, the first:\n{done.stdout[:2000]}"
