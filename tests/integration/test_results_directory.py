# SPDX-License-Identifier: GPL-3.0-or-later
"""The store in a folder, and the spool in front of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from store_suite import StoreSuite, place, result

from debfleet.common.errors import DebfleetError
from debfleet.results import address, commit
from debfleet.results.directory import DirectoryStore
from debfleet.results.spool import Spool
from debfleet.results.store import StoreDownError


class TestDirectory(StoreSuite):
    TASKS = 16

    @pytest.fixture
    def where(self, tmp_path: Path) -> str:
        return str(tmp_path / "results")

    def test_nothing_leads_out_of_the_folder(self, where: str) -> None:
        store = address.opened(where)
        for key in ("../x", "a/../../x", "/etc/x", "a//x", "", ".new/x", "a/\0"):
            with pytest.raises(DebfleetError, match="no key"):
                store.put(key, b"")

    def test_what_a_killed_writer_left_is_not_seen(self, where: str) -> None:
        store = address.opened(where)
        store.put("a/b", b"")
        (Path(where) / ".new/left").write_bytes(b"half")
        assert [entry.key for entry in store.files()] == ["a/b"]
        assert store.folders() == ["a"]


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.root
def test_a_full_disk_leaves_nothing_half_and_the_result_waits(small_disk: Path, tmp_path: Path) -> None:
    spool, log = Spool(tmp_path / "spool"), tmp_path / "log"
    log.write_bytes(b"x" * (2 << 20))
    store = DirectoryStore(small_disk / "results")
    spool.add(result(), log)
    sent = spool.send(store)
    assert sent.down and sent.waiting == 1 and "No space left" in str(sent.down)
    assert list(store.files()) == []
    assert not [path for path in small_disk.rglob("*") if path.is_file()]
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    (one,) = spool.send(store).committed
    assert one.ours and spool.entries() == []


@pytest.mark.root
def test_a_full_disk_of_the_spool_leaves_nothing_half(small_disk: Path, tmp_path: Path) -> None:
    spool, log = Spool(small_disk / "spool"), tmp_path / "log"
    log.write_bytes(b"x" * (2 << 20))
    with pytest.raises(DebfleetError, match="could not keep a result"):
        spool.add(result(), log)
    assert spool.entries() == []
    assert not [path for path in small_disk.rglob("*") if path.is_dir() and path.name != "spool"]


class Down:
    """A store that is down, or takes only so much, and notes the order in which it is given what."""

    sure = True
    address = "down"

    def __init__(self, store: DirectoryStore, takes: int) -> None:
        self.store, self.takes, self.order = store, takes, []

    def put_new(self, key: str, content: object) -> bool:
        if not self.takes:
            raise StoreDownError("the store is down")
        self.takes -= 1
        self.order.append(key)
        return self.store.put_new(key, content)

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)


def test_a_spool_keeps_the_order_while_the_store_is_down(tmp_path: Path) -> None:
    store = Down(DirectoryStore(tmp_path / "results"), 0)
    packages = [f"p{number}" for number in (9, 3, 5, 1)]
    for package in packages:
        Spool(tmp_path / "spool").add(result(place(package)))
    spool = Spool(tmp_path / "spool")
    assert spool.send(store).waiting == 4
    store.takes = 2
    sent = spool.send(store)
    assert len(sent.committed) == 2 and sent.waiting == 2 and sent.down
    store.takes = 10
    assert len(spool.send(store).committed) == 2
    assert store.order == [f"{place(package).attempt(1)}/result.json" for package in packages]


def test_what_no_store_takes_is_set_aside_and_holds_up_nobody(tmp_path: Path) -> None:
    spool, store = Spool(tmp_path / "spool"), DirectoryStore(tmp_path / "results")
    entry = spool.add(result())
    (entry / "result.json").write_bytes(b"{")
    spool.add(result(place("other")))
    sent = spool.send(store)
    assert [one.ours for one in sent.committed] == [True]
    ((aside, error),) = sent.refused
    assert aside.is_dir() and "could not read" in str(error) and spool.entries() == []
    assert commit.read(store, place("other").attempt(1) + "/result.json")


def test_a_death_while_a_sent_result_is_deleted_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, store = Spool(tmp_path / "spool"), DirectoryStore(tmp_path / "results")
    spool.add(result())

    def begun(folder: Path, **_: object) -> None:
        (folder / "result.json").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("shutil.rmtree", begun)
        spool.send(store)
    spool.add(result(place("other")))
    sent = spool.send(store)
    assert len(sent.committed) == 1 and not sent.refused


def test_what_was_cut_off_while_it_was_put_together_is_deleted(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    (tmp_path / "spool/.new-999999999-x/files").mkdir(parents=True)
    spool.heal()
    assert not list((tmp_path / "spool").glob(".new*"))
