# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build holds, written down before it is acquired, so that it can be released whatever happens to the build.

A ledger is a JSON file in the state folder, named after the build. It says who owns it (a process: its pid and the
time it started) and what is held, in order. Releasing goes backwards. `heal` releases every ledger whose owner is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import userns
from .errors import DebfleetError
from .mounts import mounts_below
from .process import Process, end_marked, lineage

KILL_AFTER = 10.0  # seconds that a process has to end by itself
Held = dict[str, Any]


def state_folder() -> Path:
    """Where ledgers and locks lie: /var/lib/debfleet for root, else below XDG_STATE_HOME."""
    if os.geteuid() == 0 and userns.user() is None:
        return Path("/var/lib/debfleet")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "debfleet"


def cache_folder() -> Path:
    """Where what can be made again lies: DEBFLEET_CACHE; else /var/cache/debfleet for root, else XDG_CACHE_HOME's."""
    if own := os.environ.get("DEBFLEET_CACHE"):
        return Path(own).absolute()
    if os.geteuid() == 0 and userns.user() is None:
        return Path("/var/cache/debfleet")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "debfleet"


@dataclass
class Ledger:
    """The ledger of one build. Every change is on the disk before it returns."""

    path: Path
    owner: Process
    held: list[Held] = field(default_factory=list)

    @classmethod
    def open(cls, name: str, owner: Process) -> Ledger:
        """Begin the ledger of a build. Raises FileExistsError where one of that name is there already."""
        folder = state_folder() / "ledgers"
        folder.mkdir(parents=True, exist_ok=True)
        ledger = cls(folder / f"{name}.json", owner)
        with open(ledger.path, "x", encoding="utf-8") as file:
            json.dump(ledger._written(), file)
        return ledger

    @classmethod
    def load(cls, path: str | Path) -> Ledger:
        """The ledger in this file."""
        written = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(Path(path), Process(**written["owner"]), written["held"])

    def _written(self) -> dict[str, Any]:
        return {"schema_version": 1, "owner": asdict(self.owner), "held": self.held}

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        with open(self.path.with_suffix(".lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.path.exists():
                self.held = Ledger.load(self.path).held
            yield
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps(self._written()), encoding="utf-8")
            new.replace(self.path)

    def add(self, kind: str, **what: Any) -> Held:
        """Write down what is about to be acquired.

        Kinds: `folder` (path), `file` (path), `process` (pid, start), `marked` (marker: a string in the environment of
        every process of the build), `domain` (uri, name), `log` (path, keep: where it goes when the build has failed,
        unless: a file whose presence says it has not).
        """
        if kind not in RELEASE:
            raise ValueError(f"a ledger holds {', '.join(RELEASE)}, not {kind}")
        entry = {"kind": kind, **what}
        with self._changing():
            self.held.append(entry)
        return entry

    def drop(self, entry: Held) -> None:
        """Strike out what was released, or given to the user."""
        with self._changing():
            self.held = [other for other in self.held if other != entry]

    def release(self) -> list[str]:
        """Release all that is held, last first, and remove the ledger. Returns what could not be released, in words."""
        if self.path.exists():
            self.held = Ledger.load(self.path).held
        troubles = []
        for entry in reversed(self.held):
            try:
                RELEASE[entry["kind"]](entry)
            except (OSError, subprocess.SubprocessError, DebfleetError) as error:
                troubles.append(
                    f"{entry['kind']} {entry.get('path') or entry.get('name') or entry.get('pid')}: {error}"
                )
        if not troubles:
            self.path.unlink(missing_ok=True)
            self.path.with_suffix(".lock").unlink(missing_ok=True)
        return troubles


def _release_folder(entry: Held) -> None:
    path = Path(entry["path"])
    if path.is_symlink() or not path.exists():
        return
    if mounted := mounts_below(path):
        raise OSError(f"something is mounted in it: {', '.join(mounted)}")
    try:
        shutil.rmtree(path)
    except PermissionError:
        if not userns.needed():
            raise
        userns.within(lambda: shutil.rmtree(path))  # some of it belongs to users of the image


def _release_file(entry: Held) -> None:
    Path(entry["path"]).unlink(missing_ok=True)


def _release_process(entry: Held) -> None:
    process = Process(entry["pid"], entry["start"])
    if process.pid in lineage():  # it is we who release
        return
    for number, patience in ((signal.SIGTERM, KILL_AFTER), (signal.SIGKILL, KILL_AFTER)):
        if not process.alive():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        until = time.monotonic() + patience
        while process.alive() and time.monotonic() < until:
            time.sleep(0.01)
    if process.alive():
        raise OSError(f"process {process.pid} does not end")


def _release_marked(entry: Held) -> None:
    end_marked(entry["marker"])


def _release_log(entry: Held) -> None:
    path, keep = Path(entry["path"]), Path(entry["keep"])
    if Path(entry["unless"]).exists():
        keep.unlink(missing_ok=True)
    elif path.exists():
        keep.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, keep)  # with its mode: a log is for its owner alone


def _release_domain(entry: Held) -> None:
    virsh = ["virsh", "--connect", entry["uri"]]
    for action in (["destroy", entry["name"]], ["undefine", "--nvram", entry["name"]]):
        subprocess.run([*virsh, *action], check=False, capture_output=True, timeout=60)


RELEASE: dict[str, Callable[[Held], None]] = {
    "folder": _release_folder,
    "file": _release_file,
    "process": _release_process,
    "marked": _release_marked,
    "domain": _release_domain,
    "log": _release_log,
}


def heal() -> list[str]:
    """Release every ledger whose owner is gone. Returns what was found, in words."""
    told = []
    for path in sorted((state_folder() / "ledgers").glob("*.json")):
        try:
            ledger = Ledger.load(path)
        except (FileNotFoundError, ValueError, KeyError):
            continue
        if not ledger.owner.alive():
            troubles = ledger.release()
            told.append(f"released what {path.stem} had left behind" + "".join(f"; {t}" for t in troubles))
    return told
