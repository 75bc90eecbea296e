# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds of one name that publish at the same time, and are killed at any moment: the folder is always whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PUBLISH = """
import sys
from pathlib import Path
from debfleet.common import ledger
from debfleet.common.folder import publish
from debfleet.common.process import Process
import os
place, state, word, times = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
ledger.state_folder = lambda: state
book = ledger.Ledger.open(word, Process.of(os.getpid()))
print("ready", flush=True)
for _ in range(times):
    with publish.published(place, book) as folder:
        for number in range(20):
            (folder / f"{word}.{number}").write_text(word)
        (folder / publish.METADATA).write_text(word)
book.release()
"""
FILES = 21


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "build/name"


def start(place: Path, word: str, times: int = 1_000_000) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", PUBLISH, str(place), str(place.parent.parent / "state"), word, str(times)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "ready\n"
    process.stdout.close()
    return process


def looks(place: Path, seconds: float) -> Iterator[set[str]]:
    """The names in the folder, as seen again and again through one open folder (it may be exchanged any time)."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            fd = os.open(place, os.O_DIRECTORY)
        except FileNotFoundError:
            yield set()
            continue
        try:
            names = set(os.listdir(fd))
            if place.stat().st_ino == os.fstat(fd).st_ino:  # it was in its place before and after we looked
                yield names
        except FileNotFoundError:
            continue
        finally:
            os.close(fd)


def whole(place: Path) -> bool:
    names = {path.name for path in place.iterdir()}
    words = {path.read_text() for path in place.iterdir()}
    return len(names) == FILES and len(words) == 1


def test_two_builds_of_one_name_never_mix(place: Path) -> None:
    both = [start(place, word, 40) for word in ("one", "two")]
    seen = 0
    while any(process.poll() is None for process in both):
        for names in looks(place, 0.2):
            assert len(names) in (0, FILES)
            seen += bool(names)
    assert [process.returncode for process in both] == [0, 0]
    assert seen
    assert whole(place)
    assert [path.name for path in place.parent.iterdir()] == ["name"]
    assert list((place.parent.parent / "state/ledgers").glob("*.json")) == []


def test_a_build_killed_at_any_moment_leaves_the_old_or_the_new(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = place.parent.parent / "state"
    monkeypatch.setattr("debfleet.common.ledger.state_folder", lambda: state)
    from debfleet.common.ledger import heal

    subprocess.run([sys.executable, "-c", PUBLISH, str(place), str(state), "first", "1"], check=True)
    luck = random.Random(4711)
    caught = 0
    for turn in range(25):
        process = start(place, f"build{turn}")
        time.sleep(luck.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert whole(place)
        caught += len(list(place.parent.iterdir())) > 1
        heal()
        assert [path.name for path in place.parent.iterdir()] == ["name"]
    assert caught, "no build was killed while it wrote: the test proves nothing"
