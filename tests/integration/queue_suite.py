# SPDX-License-Identifier: GPL-3.0-or-later
"""What every queue does: a class of tests that each implementation's own file of tests takes in."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from debfleet.common.errors import DebfleetError
from debfleet.queue.interface import Counts, Lease, LeaseLostError, Position, Queue, Wanted
from debfleet.tasks.task import Task

WORKER = Path(__file__).with_name("queue_worker.py")
PATIENCE = 120.0  # seconds: generous, for busy machines
ANY = Wanted(("amd64", "arm64"), ("rebuild", "other"), worker="one")
ALONE = Wanted(("amd64", "arm64"), ("rebuild", "other"), alone=True, worker="one")


def task(package: str = "hello", esttime: int = 10, **fields: Any) -> Task:
    usual = {"kind": "rebuild", "suite": "sid", "arch": "amd64", "package": package, "version": "1"}
    return Task(**{**usual, "esttime": esttime, **fields})


def patiently(what: Callable[[], Any], wanted: Any) -> None:
    """Wait until something is as it should be: what another side of the queue did may take a moment to be seen."""
    end = time.monotonic() + PATIENCE
    while (seen := what()) != wanted and time.monotonic() < end:
        time.sleep(0.05)
    assert seen == wanted


def taken(queue: Queue, wanted: Wanted = ANY) -> Lease:
    """The next task; there must be one, soon, also where the queue is just coming back."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            lease = queue.pull(wanted)
        except DebfleetError:
            if time.monotonic() > end:
                raise
            lease = None
        if lease is not None:
            return lease
        assert time.monotonic() < end
        time.sleep(0.05)


class QueueSuite:
    """Needs fixtures: `master`, a queue that submits, `worker`, which opens one that pulls, and `url`, the latter's."""

    @pytest.fixture
    def master(self) -> Iterator[Queue]:
        raise NotImplementedError

    @pytest.fixture
    def worker(self) -> Iterator[Callable[[], Queue]]:
        raise NotImplementedError

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    def test_longest_first(self, master: Queue, worker: Callable[[], Queue]) -> None:
        tasks = [task(f"p{number}", esttime) for number, esttime in enumerate((30, 500, 7, 500, 60))]
        assert master.submit("r", tasks).queued == 5
        queue = worker()
        pulled = []
        for _ in tasks:
            lease = taken(queue)
            pulled.append(lease.task.package)
            queue.acknowledge(lease)
        assert pulled == ["p1", "p3", "p4", "p0", "p2"]
        assert queue.pull(ANY) is None
        patiently(master.counts, {"r": Counts(done=5)})
        assert master.counts()["r"].over

    def test_a_task_comes_as_it_was_submitted(self, master: Queue, worker: Callable[[], Queue]) -> None:
        full = task(
            options={"nocheck": True}, memory=1 << 33, size_class="large", requester="ä", cause="why", logfile="l"
        )
        master.submit("r", [full])
        lease = taken(worker())
        assert (lease.task.run, lease.attempt, lease.interruptions, lease.alone) == ("r", 1, 0, False)
        assert lease.task == Task(**{**full.__dict__, "run": "r"})

    def test_only_what_is_wanted_is_pulled(self, master: Queue, worker: Callable[[], Queue]) -> None:
        tasks = [
            task("far", 5, arch="arm64"), task("big", 4, size_class="huge"), task("strange", 3, kind="other"),
            task("plain", 2),
        ]  # fmt: skip
        master.submit("r", tasks)
        queue = worker()

        def pull(**limits: Any) -> str | None:
            usual: dict[str, Any] = {"architectures": ("amd64",), "kinds": ("rebuild",), "classes": ("small", "medium")}
            lease = queue.pull(Wanted(**{**usual, **limits}))
            return lease.task.package if lease else None

        assert pull(alone=True) is None
        assert pull(classes=("large",)) is None
        assert pull() == "plain"
        assert pull() is None
        assert pull(classes=("small", "huge")) == "big"
        assert pull(kinds=("other", "rebuild")) == "strange"
        assert pull(architectures=("arm64",)) == "far"

    def test_submitted_twice_is_queued_once(self, master: Queue, worker: Callable[[], Queue]) -> None:
        tasks = [task("a", 9), task("b", 5), task("c", 7)]
        assert master.submit("r", tasks[:2]).already == ()
        again = master.submit("r", tasks)
        assert (again.queued, [one.package for one in again.already]) == (1, ["a", "b"])
        assert master.submit("other", tasks[:1]).queued == 1, "another run has its own"
        assert [master.position("r", one) for one in (tasks[0], tasks[2])] == [
            Position("waiting", 1),
            Position("waiting", 3),
        ]
        assert master.position("r", task("none")) is None
        queue = worker()
        lease = taken(queue)
        assert lease.task.package == "a"
        patiently(lambda: master.position(lease.task.run, tasks[0]), Position("running"))
        queue.acknowledge(lease)
        patiently(lambda: master.position(lease.task.run, tasks[0]), Position("done"))
        assert master.submit(lease.task.run, tasks[:1]).queued == 0
        assert Position("waiting", 3).text() == "already queued, position 3"

    def test_failed_once_runs_alone_failed_twice_is_dead(self, master: Queue, worker: Callable[[], Queue]) -> None:
        master.submit("r", [task("bad", 9, size_class="huge"), task("good", 1)])
        queue = worker()
        assert queue.fail(taken(queue), "it broke") is False
        patiently(master.counts, {"r": Counts(waiting=2, alone=1)})
        assert taken(queue).task.package == "good"
        assert queue.pull(ANY) is None, "what waits to be alone is not run beside others"
        lease = taken(queue, Wanted(("amd64",), ("rebuild",), ("small",), alone=True, worker="two"))
        assert (lease.task.package, lease.attempt, lease.alone) == ("bad", 2, True)
        assert queue.fail(lease, "it broke again") is True
        assert queue.pull(ALONE) is None
        patiently(lambda: master.counts()["r"].dead, 1)
        (dead,) = master.dead("r")
        assert (dead.task.package, dead.task.run) == ("bad", "r")
        assert [(one.attempt, one.worker, one.why) for one in dead.failures] == [
            (1, "one", "it broke"), (2, "two", "it broke again"),
        ]  # fmt: skip
        assert all(abs(one.time - time.time()) < 3600 for one in dead.failures)
        assert master.dead("other") == []
        assert master.dead() == [dead]
        assert master.position("r", task("bad")) == Position("dead")

    def test_failed_once_and_then_well(self, master: Queue, worker: Callable[[], Queue]) -> None:
        master.submit("r", [task()])
        queue = worker()
        queue.fail(taken(queue), "once")
        queue.acknowledge(taken(queue, ALONE))
        patiently(master.counts, {"r": Counts(done=1)})
        assert master.dead() == []

    def test_given_back_is_no_failure(self, master: Queue, worker: Callable[[], Queue]) -> None:
        master.submit("r", [task()])
        queue = worker()
        for interruptions in range(3):
            lease = taken(queue)
            assert (lease.attempt, lease.interruptions) == (1, interruptions)
            queue.give_back(lease)
        patiently(master.counts, {"r": Counts(waiting=1)})
        other = worker()
        other.acknowledge(taken(other))
        patiently(master.counts, {"r": Counts(done=1)})

    def test_a_lease_is_used_once(self, master: Queue, worker: Callable[[], Queue]) -> None:
        master.submit("r", [task()])
        queue = worker()
        lease = taken(queue)
        queue.extend(lease)
        queue.acknowledge(lease)
        for use in (queue.extend, queue.acknowledge, queue.give_back, lambda one: queue.fail(one, "x")):
            with pytest.raises(LeaseLostError, match="no longer held"):
                use(lease)
        patiently(master.counts, {"r": Counts(done=1)})

    def test_what_a_worker_held_that_went_away_waits_again(self, master: Queue, worker: Callable[[], Queue]) -> None:
        master.submit("r", [task("a", 2), task("b", 1)])
        gone = worker()
        lease = taken(gone)
        gone.close()
        queue = worker()
        packages = {}
        for _ in range(2):
            got = taken(queue)
            packages[got.task.package] = (got.attempt, got.interruptions)
            queue.acknowledge(got)
        assert packages == {"a": (1, 1), "b": (1, 0)}
        assert lease.task.package == "a"
        patiently(master.counts, {"r": Counts(done=2)})

    def test_a_run_is_purged(self, master: Queue, worker: Callable[[], Queue]) -> None:
        master.submit("r", [task("a", 9), task("b", 5)])
        master.submit("other", [task("c", 7), task("d", 3)])
        queue = worker()
        lease = taken(queue)
        patiently(lambda: master.counts()["r"].running, 1)
        with pytest.raises(DebfleetError, match="the run r is live"):
            master.purge("r")
        queue.fail(lease, "it broke")
        patiently(lambda: master.counts()["r"], Counts(waiting=2, alone=1))
        assert master.purge("r") == 2
        patiently(master.counts, {"other": Counts(waiting=2)})
        assert queue.pull(ALONE) is None
        assert [taken(queue).task.package, taken(queue).task.package] == ["c", "d"]
        assert queue.pull(ANY) is None
        with pytest.raises(DebfleetError, match="no run r") as raised:
            master.purge("r")
        assert "other" in raised.value.hint

    def test_killed_workers_lose_nothing(self, master: Queue, url: str, tmp_path: Path) -> None:
        """Workers that are killed at any time: each task is done, and committed once."""
        count, workers, kills = 300, 3, 12
        random_ = random.Random(7)
        started: list[subprocess.Popen[bytes]] = []

        def start() -> subprocess.Popen[bytes]:
            started.append(subprocess.Popen([sys.executable, WORKER, url, tmp_path]))
            return started[-1]

        running = [start() for _ in range(workers)]
        try:
            master.submit(
                "r", [task(f"p{number}", number, arch=("amd64", "arm64")[number % 2]) for number in range(count)]
            )
            end = time.monotonic() + PATIENCE
            for _ in range(kills):
                time.sleep(random_.uniform(0.1, 0.5))
                at = random_.randrange(workers)
                running[at].send_signal(signal.SIGKILL)
                running[at] = start()
            while not master.counts()["r"].over and time.monotonic() < end:
                time.sleep(0.1)
        finally:
            (tmp_path / "stop").touch()
            for process in started:
                process.wait(PATIENCE)
        assert master.counts() == {"r": Counts(done=count)}
        committed = sorted(path.name for path in tmp_path.glob("p*"))
        assert committed == sorted(f"p{number}.1" for number in range(count))
        executions = (tmp_path / "executions").read_text().splitlines()
        assert count <= len(executions) <= count + kills
