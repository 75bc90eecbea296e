# SPDX-License-Identifier: GPL-3.0-or-later
"""What every store of results does: a class of tests that each implementation's own file of tests takes in."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from result_strategies import place, result

from debfleet.common.errors import DebfleetError
from debfleet.results import address, clean, commit, index
from debfleet.results.result import FAILURE, Result
from debfleet.results.spool import Spool
from debfleet.results.store import AbsentError, Store

WRITER = Path(__file__).with_name("results_writer.py")
PATIENCE = 120.0  # seconds: generous, for busy machines
ODD = "first/rebuild/sid/amd64/libstdc++/1:2.0~rc1+b2/result.json"


class StoreSuite:
    """Needs fixtures: `where`, the address of an empty store, and `environment`, what a process needs to open it."""

    TASKS = 12  # of the test that kills writers
    PAUSES = (0.05, 0.6)  # seconds between two looks, at which each is killed or not
    KILLS, RACES = 30, 5

    @pytest.fixture
    def store(self, where: str) -> Store:
        return address.opened(where)

    @pytest.fixture
    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def test_what_is_put_is_got(self, store: Store) -> None:
        assert not store.exists(ODD) and list(store.files()) == []
        with pytest.raises(AbsentError):
            store.get(ODD)
        with pytest.raises(AbsentError), store.open(ODD):
            pass
        store.put(ODD, b"one")
        store.put(ODD, b"two!")
        assert store.exists(ODD) and store.get(ODD) == b"two!"
        with store.open(ODD) as file:
            assert file.read(2) == b"tw" and file.read() == b"o!"
        assert [(one.key, one.size) for one in store.files()] == [(ODD, 4)]

    def test_a_file_that_is_there_is_not_put_anew(self, store: Store, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(os.urandom(3 << 20))
        assert store.put_new("a/b", file)
        assert not store.put_new("a/b", b"other")
        assert store.get("a/b") == file.read_bytes()
        assert store.put_new("a/empty", b"") and not store.put_new("a/empty", b"x") and store.get("a/empty") == b""

    def test_folders_and_what_is_in_them(self, store: Store) -> None:
        for key in ("run/a/1:1/x", "run/a/2/x", "run/ab/1/x", "run2/a/x", ".index/run/r/x.row"):
            store.put(key, b"")
        assert [one.key for one in store.files("run/a/")] == ["run/a/1:1/x", "run/a/2/x"]
        assert store.folders("run/") == ["a", "ab"]
        assert store.folders("run/a/") == ["1:1", "2"]
        assert clean.runs(store) == ["run", "run2"]
        assert list(store.files("nothing/")) == [] and store.folders("nothing/") == []
        store.delete(["run/a/1:1/x", "run/a/gone"])
        assert store.folders("run/a/") == ["2"]

    def test_one_of_several_writers_wins(self, store: Store, where: str) -> None:
        for turn in range(self.RACES):
            won: list[bytes] = []
            barrier = threading.Barrier(4)
            threads = [
                threading.Thread(target=_race, args=(where, f"race/{turn}", f"{number}".encode() * 1000, barrier, won))
                for number in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert won == [store.get(f"race/{turn}")]

    def test_an_attempt_is_committed_with_its_files_and_once(self, store: Store, tmp_path: Path) -> None:
        spool, log, deb = Spool(tmp_path / "spool"), tmp_path / "log", tmp_path / "deb"
        log.write_bytes(b"log of one")
        deb.write_bytes(b"deb")
        spool.add(result(outcome=FAILURE), log, {"artifacts/x_1_all.deb": deb})
        (one,) = spool.send(store).committed
        assert one.ours and one.result.log and len(one.result.artifacts) == 1
        log.write_bytes(b"log of another")
        spool.add(result(outcome=FAILURE, node="other"), log)
        (two,) = spool.send(store).committed
        assert not two.ours and two.result == one.result == commit.read(store, one.result.key)
        kept = {f"{place().path}/{file.file}" for file in one.result.files}
        assert {entry.key for entry in store.files()} == {one.result.key, *kept}
        assert store.get(f"{place().path}/{one.result.log.file}") == b"log of one"
        if store.sure:
            assert one.result.log.file == "attempts/1/log.zst"

    def test_what_a_dead_writer_left_is_in_nobodys_way(self, store: Store, tmp_path: Path) -> None:
        store.put(f"{place().attempt(1)}/log.zst", b"cut o")
        spool, log = Spool(tmp_path / "spool"), tmp_path / "log"
        log.write_bytes(b"whole")
        spool.add(result(), log)
        (one,) = spool.send(store).committed
        assert one.ours and one.result.log
        assert store.get(f"{place().path}/{one.result.log.file}") == b"whole"

    def test_the_same_again_does_no_harm(self, store: Store, tmp_path: Path) -> None:
        log = tmp_path / "log"
        log.write_bytes(b"log")
        spool = Spool(tmp_path / "spool")
        entry = spool.add(result(), log)
        one = Result.from_bytes((entry / "result.json").read_bytes(), "")
        token = "0123456789ab"
        files = {"log.zst": entry / "files/log.zst"}
        first = commit.commit(store, one, files, token)
        again = commit.commit(store, one, files, token)
        assert first.ours and again == first

    def test_a_final_result_is_one_and_in_the_indexes(self, store: Store) -> None:
        first, second = result(outcome=FAILURE), result(outcome=FAILURE, attempt=2, seconds=7)
        assert commit.commit_final(store, place()) is None
        for one in (first, second):
            commit.commit(store, one, {}, "")
        final = commit.commit_final(store, place())
        assert final and final.ours and final.result.attempt == 2
        late = commit.commit_final(store, place(), most=2)
        assert late == final
        (row,) = index.rows(store, run="first")
        assert (row.outcome, row.category, row.attempt, row.seconds) == (FAILURE, "compile-error", 2, 7)
        assert (
            list(index.rows(store, package="hello")) == [row] == list(index.rows(store, suite="trixie", arch="amd64"))
        )
        assert list(index.rows(store, suite="trixie", arch="arm64")) == []

    def test_indexes_are_made_anew(self, store: Store) -> None:
        for run in ("one", "two"):
            commit.commit(store, result(place(run=run)), {}, "")
            commit.commit_final(store, place(run=run))
        before = {entry.key for entry in store.files(".index/")}
        gone = index.keys(next(iter(index.rows(store, run="one"))))
        wrong = index.keys(index.Row.of(result(place("ghost"))))
        store.delete(gone)
        store.put(wrong[0], b"")
        assert index.rebuild(store) == index.Rebuilt(2, 3, 1)
        assert {entry.key for entry in store.files(".index/")} == before

    def test_a_run_is_removed_and_no_other(self, store: Store) -> None:
        for run in ("one", "one2"):
            commit.commit(store, result(place(run=run)), {}, "")
            commit.commit_final(store, place(run=run))
        assert clean.look(store, "one").results == 1
        assert clean.remove(store, "one") == clean.Removal(1, 2, clean.look(store, "one2").size - 2)
        assert (
            [row.run for row in index.rows(store)]
            == ["one2"]
            == [row.run for row in index.rows(store, package="hello")]
        )
        assert len(list(store.files())) == 5
        with pytest.raises(DebfleetError, match="no results of a run one"):
            clean.look(store, "one")

    def test_writers_that_are_killed_at_any_moment(
        self, store: Store, where: str, environment: dict[str, str], tmp_path: Path
    ) -> None:
        """Two nodes do the same tasks of two runs, and are killed again and again."""

        def started(node: str) -> subprocess.Popen[bytes]:
            argv = [sys.executable, str(WRITER), where, str(tmp_path / node), str(self.TASKS)]
            return subprocess.Popen(argv, env=environment, stderr=open(tmp_path / f"{node}.err", "ab"))

        dice, nodes = random.Random(1), {node: started(node) for node in ("a", "b")}
        end, kills = time.monotonic() + PATIENCE, 0
        while nodes and time.monotonic() < end:
            time.sleep(dice.uniform(*self.PAUSES))
            for node, process in list(nodes.items()):
                if process.poll() == 0:
                    del nodes[node]
                elif process.poll() is not None or kills < self.KILLS and dice.random() < 0.5:
                    process.kill()
                    assert process.wait() in (0, -signal.SIGKILL), (tmp_path / f"{node}.err").read_text()
                    kills += 1
                    nodes[node] = started(node)
        assert not nodes and kills
        for run in ("one", "two"):
            rows = list(index.rows(store, run=run))
            assert sorted(row.package for row in rows) == sorted(f"p{number}" for number in range(self.TASKS))
            for row in rows:
                self._whole(store, row, tmp_path)
        assert not Spool(tmp_path / "a").entries() and not Spool(tmp_path / "b").entries()

    def _whole(self, store: Store, row: index.Row, tmp_path: Path) -> None:
        """One final result, equal to an attempt of one node with just that node's log, the only files there are."""
        final = commit.read(store, row.place.result)
        assert final is not None and final.log is not None and index.Row.of(final) == row
        attempts = commit.attempts(store, row.place)
        assert [one.attempt for one in attempts] == list(range(1, len(attempts) + 1))
        assert replace(final, final=None) in attempts
        for one in attempts:
            assert one.log is not None
            text = store.get(f"{row.place.path}/{one.log.file}").decode()
            assert text.startswith(f"{one.node} {one.place.path} {one.attempt}\n") and len(text) == one.log.size


def _race(where: str, key: str, text: bytes, barrier: threading.Barrier, won: list[bytes]) -> None:
    store = address.opened(where)
    barrier.wait()
    if store.put_new(key, text):
        won.append(text)
