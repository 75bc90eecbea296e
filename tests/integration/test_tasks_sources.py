# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks made of what real tools give: a signed repository read by apt, a PostgreSQL server, modules in a play."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import local_repository
import postgres
import psycopg
import pytest
import rebuild_tasks
from ansible.module_utils.testing import patch_module_args

from debfleet import cli
from debfleet.common.errors import FindingsError
from debfleet.tasks import archive, database, validate
from debfleet.tasks.archive import Repository
from debfleet.tasks.task import Task

SOURCES = {
    "hello": ("1.0", {}), "tool": ("1:2.0~rc1", {"Architecture": "any, all"}),
    "scripts": ("3", {"Architecture": "all"}), "elsewhere": ("4", {"Architecture": "s390x"}),
    "copies": ("5", {"Section": "devel"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_repository.Repository]:
    folder = tmp_path_factory.mktemp("repository")
    made = local_repository.Repository(folder)
    try:
        made.make_key()
        work = tmp_path_factory.mktemp("sources")
        dscs = [
            local_repository.make_source(work, name, version, fields=more) for name, (version, more) in SOURCES.items()
        ]
        dscs.append(local_repository.make_source(work, "hello", "1.1"))
        debs = [local_repository.make_deb(work, "hello", "1.1"), local_repository.make_deb(work, "other", "7")]
        made.publish("sid", debs, sources=dscs)
        yield made
    finally:
        made.stop()


def generated(capsys: pytest.CaptureFixture[str], *words: str) -> list[Task]:
    assert cli.main(["-q", "tasks", "generate", "--suite", "sid", *words]) == 0
    tasks, problems = validate.check(capsys.readouterr().out, "stdout")
    assert problems == []
    return tasks


def names(tasks: list[Task]) -> list[str]:
    return [f"{one.package}={one.version}/{one.arch}" for one in tasks]


# ---- a repository ----


def test_from_a_local_repository(repository: local_repository.Repository, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--mirror", str(repository.folder), "--keyring", str(repository.key), "--arch", "amd64,arm64")
    tasks = generated(capsys, *words, "--option", "nocheck=true", "--requester", "me", "--cause", "a test")
    assert sorted(names(tasks)) == [
        "copies=5/amd64", "copies=5/arm64", "hello=1.1/amd64", "hello=1.1/arm64", "scripts=3/amd64",
        "tool=1:2.0~rc1/amd64", "tool=1:2.0~rc1/arm64",
    ]  # fmt: skip
    by_arch = {one.arch: one for one in tasks if one.package == "tool"}
    assert by_arch["amd64"].options == {"nocheck": True}
    assert by_arch["arm64"].options == {"nocheck": True, "arch_all": False}
    assert {(one.esttime_from, one.size_class, one.requester, one.cause) for one in tasks} == {
        ("size", "small", "me", "a test")
    }
    assert by_arch["amd64"].logfile == "rebuild/sid/amd64/tool/1:2.0~rc1/attempts/{attempt}/log.zst"
    assert all(one.esttime >= 30 for one in tasks)


def test_named_and_filtered(
    repository: local_repository.Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--mirror", repository.uri, "--keyring", str(repository.key), "--arch", "amd64")
    (tmp_path / "list").write_text("hello=1.0\n# no more\nscripts\n")
    assert sorted(names(generated(capsys, *words, "--list", str(tmp_path / "list"), "-e", "copies"))) == [
        "copies=5/amd64", "hello=1.0/amd64", "scripts=3/amd64",
    ]  # fmt: skip
    assert names(generated(capsys, *words, "--include", "[ht]*", "--exclude", "/^to/")) == ["hello=1.1/amd64"]
    assert cli.main(["tasks", "generate", "--suite", "sid", *words, "-e", "helo"]) == 1
    assert "did you mean hello?" in capsys.readouterr().err
    assert cli.main(["tasks", "generate", "--suite", "sid", *words, "--longest", "3s"]) == 1
    assert "there are no tasks left" in capsys.readouterr().err
    assert cli.main(["tasks", "generate", "--suite", "sid", *words, "--option", "compiler=icc"]) == 1
    assert "options.compiler" in capsys.readouterr().err


def test_binary_packages(repository: local_repository.Repository) -> None:
    """For kinds that are about them."""
    place = Repository("sid", mirror=str(repository.folder), keyring=str(repository.key))
    found = archive.newest(archive.entries(place, "binary", ["amd64"]), "binary")
    assert [(entry.package, entry.version, entry.architectures) for entry in found] == [
        ("hello", "1.1", ("all",)), ("other", "7", ("all",)),
    ]  # fmt: skip
    assert all(entry.size for entry in found)


def test_an_index_that_is_not_signed_is_refused(repository: local_repository.Repository, tmp_path: Path) -> None:
    other = local_repository.Repository(tmp_path / "other")
    try:
        other.make_key()
    finally:
        other.stop()
    with pytest.raises(FindingsError) as raised:
        archive.entries(Repository("sid", mirror=str(repository.folder), keyring=str(other.key)), "source", ["amd64"])
    assert "not signed by a key that is trusted" in raised.value.why
    assert archive.entries(Repository("sid", mirror=str(repository.folder), no_check=True), "source", ["amd64"])


def test_a_component_that_is_not_there(repository: local_repository.Repository) -> None:
    place = Repository("sid", ("mian",), mirror=str(repository.folder), keyring=str(repository.key))
    with pytest.raises(FindingsError) as raised:
        archive.entries(place, "source", ["amd64"])
    assert "no component mian" in raised.value.why


# ---- databases ----

TABLES = """
    CREATE TABLE sources (source text, version text, maintainer text, architecture text, testsuite text,
                          build_depends text, distribution text, release text, component text);
    CREATE TABLE packages (package text, version text, architecture text, distribution text, release text,
                           component text);
    CREATE TABLE wannabuild (source text, distribution text, architecture text, version text, state text);
    CREATE TABLE pkg_history (architecture text, package text, distribution text, version text, "timestamp" timestamp,
                              result text, build_time integer, disk_space bigint, builder text);
    INSERT INTO sources (source, version, architecture, distribution, release, component) VALUES
        ('hello', '1.0', 'any', 'debian', 'sid', 'main'), ('hello', '1.1', 'any', 'debian', 'sid', 'main'),
        ('scripts', '3', 'all', 'debian', 'sid', 'main'), ('blob', '1', 'amd64', 'debian', 'sid', 'non-free'),
        ('hello', '9', 'any', 'ubuntu', 'sid', 'main'), ('older', '1', 'any', 'debian', 'buster', 'main');
    INSERT INTO packages VALUES ('hello', '1.1', 'amd64', 'debian', 'sid', 'main'),
        ('hello', '1.1', 'arm64', 'debian', 'sid', 'main'), ('scripts', '3', 'all', 'debian', 'sid', 'main');
    INSERT INTO wannabuild VALUES ('hello', 'sid', 'amd64', '1.1', 'Installed'),
        ('hello', 'sid', 'arm64', '1.1', 'Failed');
    INSERT INTO pkg_history VALUES
        ('amd64', 'hello', 'sid', '1.0', '2026-01-01', 'successful', 900, 1, 'x'),
        ('amd64', 'hello', 'sid', '1.1', '2026-02-01', 'successful', 45, 1, 'x'),
        ('amd64', 'hello', 'sid', '1.1', '2026-03-01', 'failed', 3, 1, 'x'),
        ('arm64', 'hello', 'sid', '1.1', '2026-03-01', 'given-back', 2, 1, 'x');
"""


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with postgres.server() as found:
        with psycopg.connect(found) as connection:
            connection.execute(TABLES)
        yield found


def test_from_udd_with_build_times(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = generated(capsys, "--udd", dsn, "--wanna-build", dsn, "--arch", "amd64,arm64")
    assert [(one.package, one.version, one.arch, one.esttime, one.esttime_from) for one in tasks] == [
        ("scripts", "3", "amd64", 14400, "unknown"),
        ("hello", "1.1", "arm64", 14400, "unknown"),
        ("hello", "1.1", "amd64", 45, "database"),
    ]
    both = generated(capsys, "--udd", dsn, "--component", "main,non-free", "--arch", "amd64")
    assert sorted(names(both)) == ["blob=1/amd64", "hello=1.1/amd64", "scripts=3/amd64"]
    assert names(generated(capsys, "--udd", dsn, "--wanna-build", dsn, "--longest", "1h", "--arch", "amd64")) == [
        "hello=1.1/amd64"
    ]


def test_what_wanna_build_has_in_a_state(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = generated(capsys, "--udd", dsn, "--state", "Failed,Build-Attempted", "--arch", "amd64,arm64")
    assert names(tasks) == ["hello=1.1/arm64"]


def test_binary_packages_of_udd(dsn: str) -> None:
    found = database.entries(dsn, "sid", "binary", ["main"], ["arm64"])
    assert sorted((entry.package, *entry.architectures) for entry in found) == [("hello", "arm64"), ("scripts", "all")]


def test_the_database_is_only_read_and_its_lacks_are_told(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exception, match="read-only") as raised, database.connected(dsn) as connection:
        connection.execute("DELETE FROM sources")
    assert "could not read the database" in str(raised.value)
    assert cli.main(["tasks", "generate", "--suite", "none", "--udd", dsn]) == 4
    assert "the database has no packages of none" in capsys.readouterr().err
    assert cli.main(["tasks", "generate", "--suite", "sid", "--udd", dsn.replace("postgres", "template1")]) == 4
    assert "the database lacks a table" in capsys.readouterr().err


# ---- in a playbook ----


def test_the_module_writes_what_the_command_does(
    repository: local_repository.Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tasks.jsonl"
    given: dict[str, Any] = {
        "path": str(path), "suites": ["sid"], "architectures": ["amd64"], "mirror": str(repository.folder),
        "keyring": str(repository.key), "exclude": ["c*"], "options": {"parallel": 2}, "cause": "a test",
    }  # fmt: skip

    def ran(check: bool = False, **more: Any) -> dict[str, Any]:
        with patch_module_args({**given, **more, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            rebuild_tasks.main()
        said: dict[str, Any] = json.loads(capsys.readouterr().out)
        return said

    planned = ran(check=True)
    assert (planned["changed"], planned["count"], path.exists()) == (True, 3, False)
    assert ran()["changed"] is True
    assert path.read_text() == planned["diff"]["after"]
    assert [one.options for one in validate.read([str(path)])[0]] == [{"parallel": 2}] * 3
    again = ran()
    assert (again["changed"], again["seconds"]) == (False, planned["seconds"])
    failed = ran(packages=["helo"])
    assert failed["failed"]
    assert "did you mean hello?" in failed["msg"] + str(failed["exception"])
    assert ran(path=str(tmp_path / "none/tasks.jsonl"))["failed"]
