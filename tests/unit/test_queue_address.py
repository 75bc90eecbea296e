# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of brokers, and events that come late or twice."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_lists import task

from debfleet.common.errors import DebfleetError
from debfleet.queue.interface import Counts
from debfleet.queue.rabbitmq import connection, names
from debfleet.queue.rabbitmq.events import Event, apply
from debfleet.queue.register import Register


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("amqp://worker@master.example/", "has no TLS"),
        ("amqp://worker@192.0.2.1/", "has no TLS"),
        ("amqps://worker@master.example/?colour=red", "no queue has the setting colour"),
        ("amqps://worker@master.example/?password_file=/nowhere", "could not read the queue's password"),
    ],
)
def test_no_addresses(url: str, words: str) -> None:
    with pytest.raises(DebfleetError, match=words):
        connection.parse(url)


def test_addresses(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter22\n")
    found = connection.parse(f"amqps://worker@master.example/?password_file={tmp_path}/password&register=/x")
    assert (found.host, found.port, found.tls, found.user, found.vhost) == ("master.example", 5671, True, "worker", "/")
    assert (found.password, found.register) == ("hunter22", Path("/x"))
    assert "hunter22" not in repr(found) + found.shown
    assert connection.parse("amqp://localhost:77/a%2Fb").vhost == "a/b"
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert connection.parse(f"amqp://{host}/").tls is False
    assert found.parameters().ssl_options.server_hostname == "master.example"


def test_names() -> None:
    assert names.of(task(size_class="huge")) == "df.task.rebuild.amd64.huge"
    assert names.alone("arm64") == "df.alone.arm64"


def applied(folder: Path, events: list[Event]) -> Counts:
    with closing(Register(folder / "register")) as register:
        register.add("r", [task()])
        for event in events:
            with register.changing() as database:
                apply(register, database, Event.read(event.body()))
        counts = register.counts()["r"]
        failures = register.failures(1)
        register.purge("r") if not counts.running else register.database.execute("DELETE FROM tasks")
    assert len(failures) == len({one.attempt for one in failures}), "a failure that is told twice is one"
    return counts


def event(what: str, attempt: int) -> Event:
    return Event.of(what, task(run="r"), attempt, "w", "why")  # type: ignore[arg-type]


STORY = [
    event("started", 1),
    event("back", 1),
    event("started", 1),
    event("alone", 1),
    event("started", 2),
    event("dead", 2),
]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, len(STORY) - 1), max_size=4), st.randoms(use_true_random=False))
def test_events_may_come_twice_and_late(
    tmp_path_factory: pytest.TempPathFactory, late: list[int], order: object
) -> None:
    """Those of the whole story in order, with some of them again later, end where the story ends."""
    told = list(STORY)
    for index in late:
        told.insert(order.randint(index + 1, len(told)), STORY[index])  # type: ignore[attr-defined]
    assert applied(tmp_path_factory.mktemp("events"), told) == Counts(dead=1)


def test_what_is_done_stays_done(tmp_path: Path) -> None:
    assert applied(tmp_path, [event("done", 1), event("started", 1), event("alone", 1)]) == Counts(done=1)
    assert applied(tmp_path, [event("alone", 1), event("started", 1)]) == Counts(waiting=1, alone=1)
    stranger = Event.of("done", task("other", run="r"), 1, "w")
    assert applied(tmp_path, [stranger]) == Counts(waiting=1)


def test_a_failure_is_kept_that_is_told_after_the_next_start(tmp_path: Path) -> None:
    with closing(Register(tmp_path / "register")) as register:
        register.add("r", [task()])
        for one in (event("started", 2), event("alone", 1), event("alone", 1), event("dead", 2)):
            with register.changing() as database:
                apply(register, database, one)
        assert [failure.attempt for failure in register.failures(1)] == [1, 2]
        assert register.counts() == {"r": Counts(dead=1)}
