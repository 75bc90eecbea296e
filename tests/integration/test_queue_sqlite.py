# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded queue: all that every queue does, its leases, and the command."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from queue_suite import ALONE, ANY, QueueSuite, taken, task

from debfleet import cli
from debfleet.common.errors import DebfleetError
from debfleet.queue import address, sqlite
from debfleet.queue.interface import Counts, LeaseLostError, Queue
from debfleet.queue.register import VERSION, Register
from debfleet.queue.sqlite import SqliteQueue
from debfleet.tasks import lines

SHORT = 3  # seconds of a lease, where workers are killed: many more than a call takes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queue/queue.sqlite"


class TestSqlite(QueueSuite):
    @pytest.fixture
    def master(self, file: Path) -> Iterator[Queue]:
        with closing(SqliteQueue(file)) as queue:
            yield queue

    @pytest.fixture
    def worker(self, file: Path) -> Iterator[Callable[[], Queue]]:
        made: list[Queue] = []

        def open_() -> Queue:
            made.append(SqliteQueue(file))
            return made[-1]

        yield open_
        for queue in made:
            queue.close()

    @pytest.fixture
    def url(self, file: Path) -> str:
        return f"sqlite://{file}?lease_seconds={SHORT}"


# ---- leases ----


def test_a_lease_ends_when_it_is_not_extended(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(sqlite, "clock", lambda: now[0])
    with closing(SqliteQueue(file, 60)) as queue, closing(SqliteQueue(file, 60)) as other:
        queue.submit("r", [task()])
        lease = taken(queue)
        for _ in range(3):
            now[0] += 59
            queue.extend(lease)
        assert other.pull(ANY) is None
        now[0] += 61
        with pytest.raises(LeaseLostError):
            queue.extend(lease)
        assert other.counts() == {"r": Counts(waiting=1)}
        again = taken(other)
        assert (again.attempt, again.interruptions) == (1, 1)
        with pytest.raises(LeaseLostError):
            queue.acknowledge(lease)
        other.acknowledge(again)


def test_the_wall_clock_does_not_matter(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SqliteQueue(file, 60)) as queue:
        queue.submit("r", [task()])
        lease = taken(queue)
        monkeypatch.setattr(time, "time", lambda: 4e9)
        assert queue.pull(ANY) is None
        queue.acknowledge(lease)


def test_leases_of_an_earlier_boot_are_lost(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SqliteQueue(file, 60)) as queue:
        queue.submit("r", [task()])
        lease = taken(queue)
    (tmp_path / "boot").write_text("another\n")
    monkeypatch.setattr(sqlite, "BOOT_ID", tmp_path / "boot")
    monkeypatch.setattr(sqlite, "clock", lambda: 5.0)
    with closing(SqliteQueue(file, 60)) as queue:
        with pytest.raises(LeaseLostError):
            queue.extend(lease)
        assert taken(queue).interruptions == 1


# ---- the file ----


def _pull_all(file: Path, pipe: object) -> None:
    with closing(SqliteQueue(file)) as queue:
        pulled = []
        while lease := queue.pull(ANY):
            pulled.append(lease.task.package)
            queue.acknowledge(lease)
    pipe.put(pulled)  # type: ignore[attr-defined]


def test_many_processes_begin_a_file_and_pull_from_it(file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    with closing(SqliteQueue(file)) as queue:
        queue.submit("r", [task(f"p{number}", number) for number in range(200)])
    processes = [context.Process(target=_pull_all, args=(file, results)) for _ in range(4)]
    for process in processes:
        process.start()
    pulled = [package for _ in processes for package in results.get(timeout=120)]
    for process in processes:
        process.join(120)
    assert sorted(pulled) == sorted(f"p{number}" for number in range(200))


def test_a_file_begun_by_many_at_once(file: Path) -> None:
    code = "import sys; from debfleet.queue import address; address.opened(f'sqlite://{sys.argv[1]}').counts()"
    processes = [subprocess.Popen([sys.executable, "-c", code, file], stderr=subprocess.PIPE) for _ in range(6)]
    assert [(process.communicate(timeout=120)[1], process.returncode) for process in processes] == [(b"", 0)] * 6


def test_a_file_that_is_no_queue(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, but a text that is long enough to be none for sure\n" * 20)
    with pytest.raises(DebfleetError, match="could not open the queue"):
        SqliteQueue(tmp_path / "text")
    with pytest.raises(DebfleetError, match="could not open the queue"):
        SqliteQueue(tmp_path / "text/below")
    with closing(Register(tmp_path / "new")) as register:
        register.database.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(DebfleetError, match="newer debfleet"):
        Register(tmp_path / "new")


def test_a_queue_that_can_not_be_written(file: Path) -> None:
    """A full disk is a clear error, and the queue is as it was."""
    with closing(SqliteQueue(file)) as queue:
        queue.submit("r", [task("a")])
        (pages,) = queue.register.database.execute("PRAGMA page_count").fetchone()
        queue.register.database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DebfleetError, match="could not change the queue") as raised:
            queue.submit("r", [task(f"p{number}") for number in range(1000)])
        assert "full" in raised.value.why
        assert queue.counts() == {"r": Counts(waiting=1)}


def test_a_whole_archive_is_queued_in_no_time(file: Path) -> None:
    """40,000 tasks: how long is a figure for docs/queue.md; here only that their number is no matter."""
    with closing(SqliteQueue(file)) as queue:
        assert queue.submit("r", [task(f"p{number}", number % 5000) for number in range(40_000)]).queued == 40_000
        lease = taken(queue)
        assert lease.task.esttime == 4999
        plan = queue.register.database.execute(
            "EXPLAIN QUERY PLAN " + sqlite.NEXT.format(kinds="?"), (0, "amd64", "small", "rebuild")
        ).fetchall()
        assert "USING INDEX waiting" in plan[0][3]
        assert not any("TEMP B-TREE" in row[3] for row in plan), "no pull sorts what waits"


# ---- addresses ----


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(address.opened(f"sqlite://{tmp_path}/a%20b.sqlite")):
        assert (tmp_path / "a b.sqlite").exists()
    for url, words in (
        ("sqlite://", "no file"),
        ("sqlite://host/x", "no file"),
        ("redis://x", "no queue that debfleet knows"),
    ):
        with pytest.raises(DebfleetError, match=words):
            address.opened(url)
    monkeypatch.setenv("DEBFLEET_QUEUE", "sqlite:///x")
    assert address.default() == "sqlite:///x"
    monkeypatch.delenv("DEBFLEET_QUEUE")
    assert address.default().startswith("sqlite:///")


# ---- at the prompt ----


def test_at_the_prompt(repo: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite://{file}"

    def valid(text: str, schema: str) -> Any:
        said = json.loads(text)
        jsonschema.validate(said, json.loads((repo / f"schemas/{schema}.json").read_text()))
        return said

    def said(*words: str, code: int = 0) -> str:
        assert cli.main([*words, "--queue", url]) == code
        captured = capsys.readouterr()
        return captured.err if code else captured.out

    listed = str(tmp_path / "list")
    lines.write([task("a", 9), task("b", 5)], listed)
    assert said("queue", "status") == "the queue is empty\n"
    assert said("tasks", "submit", "--run", "r", listed) == "2 tasks queued\n"
    lines.write([task("a", 9), task("b", 5), task("c", 7)], listed)
    assert said("tasks", "submit", "--run", "r", listed).splitlines() == [
        "rebuild/sid/amd64/a/1: already queued, position 1",
        "rebuild/sid/amd64/b/1: already queued, position 3",
        "1 task queued",
    ]
    assert "a run can't be called '../r'" in said("tasks", "submit", "--run", "../r", listed, code=1)
    with closing(SqliteQueue(file)) as queue:
        queue.fail(taken(queue), "it broke")
        assert said("queue", "dead") == "nothing failed for good\n"
        queue.fail(taken(queue, ALONE), "again")
        lease = taken(queue)
        counts = valid(said("queue", "status", "--json"), "queue-status")
        assert counts["runs"] == {"r": {"waiting": 1, "alone": 0, "running": 1, "done": 0, "dead": 1}}
        assert said("queue", "status").splitlines()[1].split() == ["r", "1", "0", "1", "0", "1"]
        assert "the run r is live" in said("queue", "purge", "r", code=4)
        queue.acknowledge(lease)
    dead = said("queue", "dead", "r")
    assert "r/rebuild/sid/amd64/a/1" in dead
    assert "attempt 2" in dead
    assert ", one: again" in dead
    (first,) = valid(said("queue", "dead", "--json"), "queue-dead")["dead"]
    assert [one["why"] for one in first["failures"]] == [
        "it broke",
        "again",
    ]
    assert said("queue", "purge", "r") == "would forget 1 waiting, 1 done and 1 failed tasks of r; --yes does it\n"
    assert said("queue", "purge", "r", "--yes").startswith("forgot 3 tasks")
    assert "no run r" in said("queue", "purge", "r", code=4)
