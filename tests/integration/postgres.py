# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server for tests: a plain process with a folder of its own, reached by a socket in it, and no port."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from debfleet.common.errors import MissingError


def _program(name: str) -> str:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name), reverse=True)
    found = shutil.which(name, path=":".join([*map(str, places), os.environ["PATH"]]))
    if found is None:
        raise MissingError(f"{name} is not installed", hint="apt-get install postgresql")
    return found


def _run(*argv: str, folder: Path) -> None:
    # The server refuses root: then it runs as the user of Debian's package.
    other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*other, *argv], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    log = folder / "log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text() if log.exists() else "")


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The DSN of a server that runs until the end; its superuser needs no password."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # the path of a socket is short: 107 bytes
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        data = str(folder / "data")
        _run(_program("initdb"), "-D", data, "-U", "tester", "-A", "trust", "-N", "-E", "UTF8", folder=folder)
        settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        start = ["-D", data, "-l", str(folder / "log"), "-o", settings, "-w", "-t", "120", "start"]
        # Its output must not be a pipe that the server inherits: pg_ctl ends, the server goes on.
        other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        subprocess.run(
            [*other, _program("pg_ctl"), *start],
            cwd=folder,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield f"host={folder} user=tester dbname=postgres"
        finally:
            _run(_program("pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop", folder=folder)
    finally:
        shutil.rmtree(folder)
