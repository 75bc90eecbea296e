# SPDX-License-Identifier: GPL-3.0-or-later
"""Several writers commit the same attempt, step by step in any order, and some of them die at any step."""

from __future__ import annotations

import hashlib
import io
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from result_strategies import place, result

from debfleet.results import commit
from debfleet.results.result import File, Result
from debfleet.results.store import AbsentError, Entry

WRITERS = 3


class Killed(BaseException):
    """A writer died."""


class Memory:
    """A store in memory."""

    address = "memory"

    def __init__(self, sure: bool) -> None:
        self.sure = sure
        self.kept: dict[str, bytes] = {}

    def put(self, key: str, content: bytes | Path) -> None:
        self.kept[key] = content if isinstance(content, bytes) else content.read_bytes()

    def put_new(self, key: str, content: bytes | Path) -> bool:
        if key in self.kept:
            return False
        self.put(key, content)
        return True

    def get(self, key: str) -> bytes:
        if key not in self.kept:
            raise AbsentError(key)
        return self.kept[key]

    def open(self, key: str) -> Any:
        return io.BytesIO(self.get(key))

    def exists(self, key: str) -> bool:
        return key in self.kept

    def files(self, prefix: str = "") -> Iterator[Entry]:
        return (Entry(key, len(raw)) for key, raw in sorted(self.kept.items()) if key.startswith(prefix))

    def folders(self, prefix: str = "") -> list[str]:
        below = (key.removeprefix(prefix) for key in self.kept if key.startswith(prefix))
        return sorted({name.split("/")[0] for name in below if "/" in name})

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.kept.pop(key, None)


class Turns:
    """A store of which a writer may take one step at a time, when it is his turn; and dies when it is told so."""

    def __init__(self, store: Memory) -> None:
        self.store, self.sure, self.address = store, store.sure, store.address
        self.mine, self.done, self.ended = threading.Semaphore(0), threading.Semaphore(0), False
        self.dies = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        def step(*words: Any) -> Any:
            self.done.release()
            self.mine.acquire()
            if self.dies:
                raise Killed
            return method(*words)

        return step

    def turn(self, dies: bool = False) -> None:
        """Let the writer go on to its next step, or die before it."""
        self.dies = dies
        self.mine.release()
        self.done.acquire()


def write(turns: Turns, one: Result, files: dict[str, Path], told: dict[str, commit.Committed]) -> None:
    turns.mine.acquire()
    try:
        told[one.node] = commit.commit(turns, one, files, one.node)
    except Killed:
        pass
    finally:
        turns.ended = True
        turns.done.release()


def writers(folder: Path, store: Memory, told: dict[str, commit.Committed]) -> list[tuple[Turns, threading.Thread]]:
    begun = []
    for number in range(WRITERS):
        text, source = f"log of {number}".encode(), folder / f"log-{number}"
        source.write_bytes(text)
        log = File("log.zst", len(text), hashlib.sha256(text).hexdigest())
        one, turns = replace(result(), node=f"n{number}", log=log), Turns(store)
        thread = threading.Thread(target=write, args=(turns, one, {"log.zst": source}, told), daemon=True)
        thread.start()
        begun.append((turns, thread))
    return begun


STEPS = st.lists(st.tuples(st.integers(0, WRITERS - 1), st.integers(0, 9)), max_size=30)


@settings(deadline=None, max_examples=150)
@given(st.booleans(), STEPS)
def test_exactly_one_counts(sure: bool, steps: list[tuple[int, int]]) -> None:
    store, told = Memory(sure), dict[str, commit.Committed]()
    with tempfile.TemporaryDirectory() as folder:
        begun = writers(Path(folder), store, told)
        for who, fate in steps:
            if not begun[who][0].ended:
                before = {key: raw for key, raw in store.kept.items() if key.endswith("result.json")}
                begun[who][0].turn(dies=fate == 0)
                assert before.items() <= store.kept.items()
        for turns, _ in begun:
            while not turns.ended:
                turns.turn()
        for _, thread in begun:
            thread.join()
        again = writers(Path(folder), store, told)  # a node that comes later, or comes back
        for turns, _ in again:
            while not turns.ended:
                turns.turn()
    (stands,) = commit.attempts(store, place())
    assert {one.result.node for one in told.values()} == {stands.node}
    assert [node for node, one in told.items() if one.ours] == [stands.node]
    assert stands.log and store.kept[f"{place().path}/{stands.log.file}"] == f"log of {stands.node[1:]}".encode()


@settings(deadline=None, max_examples=50)
@given(STEPS)
def test_who_has_lost_leaves_nothing(steps: list[tuple[int, int]]) -> None:
    store, told = Memory(sure=False), dict[str, commit.Committed]()
    with tempfile.TemporaryDirectory() as folder:
        begun = writers(Path(folder), store, told)
        for who, _ in steps:
            if not begun[who][0].ended:
                begun[who][0].turn()
        for turns, _ in begun:
            while not turns.ended:
                turns.turn()
    assert len(told) == WRITERS and len(store.kept) == 2
