# SPDX-License-Identifier: GPL-3.0-or-later
"""`debfleet results` at the prompt."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import jsonschema
import pytest
from result_strategies import place, result
from task_lists import task

from debfleet.cli import main
from debfleet.common.errors import FAILED, OK
from debfleet.queue import address as queues
from debfleet.results import commit
from debfleet.results.directory import DirectoryStore
from debfleet.results.result import FAILURE
from debfleet.results.spool import Spool

SCHEMAS = Path(__file__).parents[2] / "schemas"
BAD = place("bad", "1:1.0")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryStore:
    """One success, and one package that failed twice; beside it a queue of its own."""
    monkeypatch.setenv("DEBFLEET_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("DEBFLEET_QUEUE", f"sqlite://{tmp_path}/queue")
    store, spool = DirectoryStore(tmp_path / "results"), Spool(tmp_path / "spool")
    for one in (result(), result(BAD, FAILURE), result(BAD, FAILURE, attempt=2, esttime=30, peak_memory=3 << 20)):
        log = tmp_path / "log.zst"
        log.unlink(missing_ok=True)
        text = f"\x1b[31mlog\x1b[0m of attempt {one.attempt} \xff\n".encode("latin-1")
        subprocess.run(["zstd", "-q", "-o", log], input=text, check=True)
        spool.add(one, log)
    assert len(spool.send(store).committed) == 3
    for where in (place(), BAD):
        assert commit.commit_final(store, where)
    return store


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = OK) -> str:
    assert main(["results", *words]) == code
    captured = capsys.readouterr()
    return captured.out if code == OK else captured.err


def test_list_finds_what_fits(store: DirectoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "list").count("first/") == 2
    for words in (["--package", "bad"], ["--outcome", "failure"], ["--class", "compile-error"]):
        (line,) = said(capsys, "list", *words).splitlines()[1:]
        assert line.split()[:4] == [BAD.path, "failure", "build", "compile-error"]
    assert said(capsys, "list", "--suite", "trixie", "--arch", "amd64", "--run", "first").count("first/") == 2
    assert said(capsys, "list", "--run", "other") == ""
    listed = json.loads(said(capsys, "list", "--json"))
    jsonschema.validate(listed, json.loads((SCHEMAS / "result-list.json").read_text()))
    assert len(listed["results"]) == 2


def test_show_tells_a_result_and_each_attempt(store: DirectoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "show", BAD.path)
    assert "attempt      2\n" in shown and "all 2 attempts failed" in shown and "30 s estimated" in shown
    assert "main.c:1:31: error: 'm' undeclared" in shown and "3 MiB" in shown
    assert "attempt      1\n" in said(capsys, "show", BAD.path, "--attempt", "1")
    final = json.loads(said(capsys, "show", BAD.path, "--json"))
    jsonschema.validate(final, json.loads((SCHEMAS / "result.json").read_text()))
    assert "attempts that there are: 1, 2" in said(capsys, "show", BAD.path, "--attempt", "3", code=FAILED)
    said(capsys, "show", "bad", code=FAILED)


def test_log_is_unpacked(store: DirectoryStore, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["results", "log", BAD.path, "--attempt", "1"]) == OK
    assert capfdbinary.readouterr().out == b"\x1b[31mlog\x1b[0m of attempt 1 \xff\n"


def test_log_obeys_nothing_on_a_terminal(
    store: DirectoryStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert said(capsys, "log", BAD.path) == "log of attempt 2 �\n"


def test_a_damaged_log_is_told(store: DirectoryStore, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    key = f"{place().attempt(1)}/log.zst"
    for damaged in (store.get(key)[:-4], gzip.compress(b"text\n" * 1000)[:-12]):
        store.put(key, damaged)
        assert main(["results", "log", place().path]) == FAILED
        assert b"cut off, or damaged" in capfdbinary.readouterr().err


def test_clean_tells_first_and_then_does_it(store: DirectoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "clean", "first").startswith("would remove 2 results of first: 8 files")
    told = json.loads(said(capsys, "clean", "first", "--json"))
    jsonschema.validate(told, json.loads((SCHEMAS / "result-clean.json").read_text()))
    assert store.exists(BAD.result)
    assert said(capsys, "clean", "first", "--yes").startswith("removed 2 results of first")
    assert list(store.files()) == []
    assert "no results of a run first" in said(capsys, "clean", "first", code=FAILED)


def test_clean_refuses_a_live_run(store: DirectoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    queue = queues.opened(queues.default())
    queue.submit("first", [task()])
    queue.close()
    assert "the run first is live" in said(capsys, "clean", "first", "--yes", code=FAILED)
    assert store.exists(BAD.result)


def test_index_is_made_anew(store: DirectoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.delete([entry.key for entry in store.files(".index/")])
    assert said(capsys, "list") == ""
    assert said(capsys, "index") == "2 results: 6 rows added, 0 deleted\n"
    assert said(capsys, "list").count("first/") == 2


def test_earlier_results_tell_estimates(store: DirectoryStore) -> None:
    """What tasks are estimated by is what is written here."""
    from debfleet.tasks.estimate import results

    seen = results(store.folder)
    assert seen["rebuild", "amd64", "hello"].seconds == 40
    assert seen["rebuild", "amd64", "bad"].memory == 3 << 20
