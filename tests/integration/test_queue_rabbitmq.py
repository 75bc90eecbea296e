# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue in a real RabbitMQ: all that every queue does, by a worker with no more rights than it needs."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pika
import pika.exceptions
import pytest
import rabbitmq
from queue_suite import ANY, PATIENCE, QueueSuite, patiently, taken, task
from rabbitmq import ADMIN, WORKER, Server

from debfleet.common.errors import DebfleetError
from debfleet.queue import address
from debfleet.queue.interface import Counts, LeaseLostError, Queue, Wanted
from debfleet.queue.rabbitmq import connection, names
from debfleet.queue.rabbitmq import master as side
from debfleet.queue.rabbitmq.publish import Message, publish
from debfleet.tasks.task import CLASSES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A CA and a server's certificate by it, for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-batch")
    usage = "keyUsage=critical,keyCertSign,cRLSign"
    openssl(*new, "-x509", "-days", "2", "-subj", "/CN=CA", "-addext", usage, "-keyout", "ca.key", "-out", "ca.pem")
    openssl(*new, "-subj", "/CN=server", "-keyout", "key.pem", "-out", "request")
    (folder / "more").write_text("subjectAltName=IP:127.0.0.1\nkeyUsage=critical,digitalSignature\n")
    sign = ("x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
    openssl(*sign, "-extfile", "more", "-out", "cert.pem")
    return {"cafile": folder / "ca.pem", "certfile": folder / "cert.pem", "keyfile": folder / "key.pem"}


@pytest.fixture(scope="module")
def broker(certificates: dict[str, Path]) -> Iterator[Server]:
    with rabbitmq.server(names.RIGHTS, certificates) as server:
        yield server


@pytest.fixture(autouse=True)
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queues are used as soon as they are made, but where the broker is killed."""
    if "killed" not in request.node.name or "workers" in request.node.name:
        monkeypatch.setattr(side, "SETTLE", 0.0)


@pytest.fixture
def master(broker: Server, tmp_path: Path) -> Iterator[Queue]:
    with closing(address.opened(broker.url(ADMIN, register=str(tmp_path / "register.sqlite")))) as queue:
        yield queue
    # Nothing of a test is left to the next one. Queues stay: RabbitMQ 3.10 that was killed is bad at making one anew.
    made = [names.RESULTS, names.MOMENTS, names.DEAD, *(names.alone(arch) for arch in ("amd64", "arm64"))]
    for kind in ("rebuild", "other"):
        made += [names.tasks(kind, arch, size) for arch in ("amd64", "arm64") for size in CLASSES]
    with closing(_connected(broker, ADMIN)) as opened:
        for name in made:
            with contextlib.suppress(pika.exceptions.ChannelClosedByBroker):  # it was never made
                opened.channel().queue_purge(name)


@pytest.fixture
def worker(broker: Server) -> Iterator[Callable[[], Queue]]:
    made: list[Queue] = []

    def open_() -> Queue:
        made.append(address.opened(broker.url(WORKER)))
        return made[-1]

    yield open_
    for queue in made:
        queue.close()


def _connected(broker: Server, user: str) -> pika.BlockingConnection:
    return pika.BlockingConnection(connection.parse(broker.url(user)).parameters())


class TestRabbitmq(QueueSuite):
    @pytest.fixture
    def master(self, master: Queue) -> Queue:
        return master

    @pytest.fixture
    def worker(self, worker: Callable[[], Queue]) -> Callable[[], Queue]:
        return worker

    @pytest.fixture
    def url(self, broker: Server) -> str:
        return broker.url(WORKER)


# ---- the broker ----


def test_workers_have_no_more_rights_than_they_need(master: Queue, broker: Server) -> None:
    master.submit("r", [task()])
    with closing(_connected(broker, WORKER)) as opened:
        for refused in (
            lambda channel: channel.queue_declare("df.mine"),
            lambda channel: channel.basic_get(names.RESULTS),
            lambda channel: channel.basic_get(names.DEAD),
            lambda channel: channel.queue_delete(names.of(task())),
            lambda channel: _confirmed(channel, "", names.of(task())),
            lambda channel: _confirmed(channel, names.DEAD, ""),
        ):
            with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
                refused(opened.channel())


def _confirmed(channel: object, exchange: str, key: str) -> None:
    channel.confirm_delivery()  # type: ignore[attr-defined]
    channel.basic_publish(exchange, key, b"x")  # type: ignore[attr-defined]


def test_a_broker_that_was_killed_lost_nothing(master: Queue, worker: Callable[[], Queue], broker: Server) -> None:
    master.submit("r", [task("a", 3), task("b", 2), task("c", 1)])
    queue = worker()
    queue.acknowledge(taken(queue))
    lease = taken(queue)
    broker.kill()
    with pytest.raises(LeaseLostError):
        while True:
            queue.extend(lease)
            time.sleep(0.05)
    with pytest.raises(DebfleetError, match="could not pull a task"):
        queue.pull(ANY)
    with pytest.raises(DebfleetError, match="could not read what workers told"):
        master.counts()
    broker.start()
    packages = set()  # their order is no promise: what was held comes back when the broker says so
    for _ in range(2):
        lease = taken(queue)
        packages.add(lease.task.package)
        queue.acknowledge(lease)
    assert packages == {"b", "c"}
    patiently(master.counts, {"r": Counts(done=3)})


def test_a_broker_that_is_killed_while_tasks_are_published(master: Queue, broker: Server, tmp_path: Path) -> None:
    """It is waited for; each task is there then, and what comes twice is counted once."""
    tasks = [task(f"p{number}", number) for number in range(8000)]
    errors: list[BaseException] = []

    def submit() -> None:
        try:
            with closing(address.opened(broker.url(ADMIN, register=str(tmp_path / "register.sqlite")))) as other:
                other.submit("r", tasks)
        except BaseException as error:
            errors.append(error)

    submitting = threading.Thread(target=submit)
    submitting.start()
    opened = _connected(broker, ADMIN)
    channel = opened.channel()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and submitting.is_alive():
        time.sleep(0.01)
        try:
            if channel.queue_declare(names.of(task()), passive=True).method.message_count > 100:
                break
        except pika.exceptions.ChannelClosedByBroker:
            channel = opened.channel()
    broker.kill()
    with pytest.raises(pika.exceptions.AMQPError):
        opened.sleep(PATIENCE)
    broker.start()
    submitting.join(300)
    assert [str(error) for error in errors] == []
    assert not submitting.is_alive()
    with closing(_connected(broker, ADMIN)) as opened:
        packages = []
        channel = opened.channel()
        for _method, _properties, body in channel.consume(names.of(task()), inactivity_timeout=3, auto_ack=True):
            if body is None:
                break
            packages.append(body)
    assert len(set(packages)) == len(tasks)
    assert len(packages) <= len(tasks) + 1000, "only what was on its way may come twice"


def test_what_was_cut_off_is_published_by_the_next_submission(
    master: Queue, worker: Callable[[], Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise DebfleetError("cut off")

    with monkeypatch.context() as patched, pytest.raises(DebfleetError, match="cut off"):
        patched.setattr(side, "publish", fails)
        master.submit("r", [task("a", 2), task("b", 1)])
    assert worker().pull(ANY) is None
    again = master.submit("r", [task("a", 2), task("b", 1)])
    assert len(again.already) == 2
    queue = worker()
    assert [taken(queue).task.package, taken(queue).task.package] == ["a", "b"]


def test_a_queue_that_is_not_there_is_an_error(broker: Server) -> None:
    there = connection.parse(broker.url(ADMIN))
    with pytest.raises(DebfleetError, match="could not publish all tasks") as raised:
        publish(there, [Message("df.task.none", b"x")], lambda _: None)
    assert "there is no queue df.task.none" in raised.value.why


def test_what_the_broker_gives_up_on_is_kept(
    master: Queue, broker: Server, worker: Callable[[], Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(names.TASKS, "x-delivery-limit", 2)
    master.submit("r", [task(kind="limited", arch="s390x")])
    queue = worker()
    for _ in range(3):
        queue.give_back(taken(queue, Wanted(("s390x",), ("limited",))))
    patiently(lambda: [one.task.package for one in master.dead("r")], ["hello"])
    (dead,) = master.dead("r")
    assert "the broker gave up on it (delivery_limit)" in dead.failures[0].why
    assert master.counts() == {"r": Counts(dead=1)}


def test_tasks_that_nobody_holds_do_not_seem_to_run(master: Queue, worker: Callable[[], Queue]) -> None:
    master.submit("r", [task("a", 2), task("b", 1)])
    queue = worker()
    taken(queue)
    patiently(master.counts, {"r": Counts(waiting=1, running=1)})
    queue.close()
    patiently(master.counts, {"r": Counts(waiting=2)})
    assert master.purge("r") == 2


# ---- addresses ----


def test_tls(master: Queue, broker: Server, certificates: dict[str, Path]) -> None:
    master.submit("r", [task()])
    plain = f"amqps://{WORKER}@127.0.0.1:{broker.tls_port}/?password_file={broker.folder}/password"
    with closing(address.opened(f"{plain}&cafile={certificates['cafile']}")) as queue:
        queue.acknowledge(taken(queue))
    with closing(address.opened(plain)) as queue, pytest.raises(DebfleetError, match="could not pull a task") as raised:
        queue.pull(ANY)
    assert "certificate" in raised.value.why.lower()


def test_a_wrong_password_is_told_without_it(broker: Server, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("not-the-one")
    url = f"amqp://{WORKER}@127.0.0.1:{broker.port}/?password_file={tmp_path}/password"
    with closing(address.opened(url)) as queue, pytest.raises(DebfleetError) as raised:
        queue.pull(ANY)
    assert "not-the-one" not in str(raised.value)
    assert "ACCESS_REFUSED" in raised.value.why or "Authentication" in raised.value.why
