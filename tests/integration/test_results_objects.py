# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores of objects, on a real OpenStack Swift: by S3's protocol, and by its own."""

from __future__ import annotations

import http.server
import json
import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import swift_server
from store_suite import StoreSuite, result

from debfleet.common.errors import DebfleetError
from debfleet.results import address
from debfleet.results.s3 import S3Store
from debfleet.results.spool import Spool
from debfleet.results.store import Store, StoreDownError
from debfleet.results.swift import SwiftStore

SETTLE = 0.4  # seconds; here the server is near


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[swift_server.Swift]:
    with swift_server.running(tmp_path_factory.mktemp("swift")) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture
def bucket(swift: swift_server.Swift) -> str:
    """A new bucket, which is a container too."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    S3Store(name, endpoint=swift.url).client.create_bucket(Bucket=name)
    return name


class TestS3(StoreSuite):
    TASKS, PAUSES, KILLS, RACES = 1, (0.5, 2.5), 3, 2

    @pytest.fixture
    def where(self, swift: swift_server.Swift, bucket: str) -> str:
        return f"s3://{bucket}/some/results?endpoint={swift.url}&settle={SETTLE}"

    def test_it_is_found_out_that_swift_lets_several_in(self, store: Store) -> None:
        assert not store.sure
        assert list(store.files()) == []


class TestSwift(StoreSuite):
    TASKS, PAUSES, KILLS, RACES = 2, (0.5, 2.5), 4, 2

    @pytest.fixture
    def where(self, bucket: str) -> str:
        return f"swift://{bucket}/results?settle={SETTLE}"

    def test_both_protocols_see_the_same(self, store: Store, swift: swift_server.Swift, bucket: str) -> None:
        store.put("a/1:1~x+b", b"one")
        assert address.opened(f"s3://{bucket}/results?endpoint={swift.url}").get("a/1:1~x+b") == b"one"


def test_a_listing_goes_beyond_a_page(swift: swift_server.Swift, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("debfleet.results.swift.PAGE", 2)
    store = SwiftStore(bucket)
    keys = [f"a/{number}" for number in range(5)] + ["b/x/1", "b/y/1", "b/z/1"]
    for key in keys:
        store.put(key, b"")
    assert [one.key for one in store.files()] == keys
    assert store.folders("b/") == ["x", "y", "z"] and store.folders() == ["a", "b"]


class Sure(http.server.BaseHTTPRequestHandler):
    """As much of S3 as its one promise takes: a write that began before another one was taken is refused at its end."""

    kept: dict[str, bytes] = {}
    lock = threading.Lock()
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            taken = self.headers.get("If-None-Match") and self.path.split("?")[0] in self.kept
            if not taken:
                self.kept[self.path.split("?")[0]] = body
        self._answer(412 if taken else 200)

    def do_DELETE(self) -> None:
        self.kept.pop(self.path.split("?")[0], None)
        self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_it_is_found_out_that_a_server_lets_one_in(swift: swift_server.Swift) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sure) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert S3Store("bucket", endpoint=f"http://127.0.0.1:{server.server_port}").sure
        finally:
            server.shutdown()
    assert not Sure.kept


@pytest.mark.parametrize("kind", ["s3", "swift"])
def test_a_server_that_is_gone_is_down_and_the_result_waits(
    kind: str, swift: swift_server.Swift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ST_AUTH", "http://127.0.0.1:9/auth/v1.0")
    monkeypatch.setattr("swiftclient.client.sleep", lambda _: None)
    spool = Spool(tmp_path)
    spool.add(result())
    sent = spool.send(address.opened(f"{kind}://bucket/x{'?endpoint=http://127.0.0.1:9' if kind == 's3' else ''}"))
    assert isinstance(sent.down, StoreDownError) and sent.waiting == 1 and not sent.refused


@pytest.mark.parametrize("kind", ["s3", "swift"])
def test_what_is_wrong_is_told_and_is_no_down(kind: str, swift: swift_server.Swift) -> None:
    store = address.opened(f"{kind}://no-such-bucket/x{f'?endpoint={swift.url}' if kind == 's3' else ''}")
    with pytest.raises(DebfleetError) as caught:
        store.put("a", b"")
    assert not isinstance(caught.value, StoreDownError) and "no-such-bucket" in str(caught.value)


def test_a_wrong_password_is_told_without_it(
    swift: swift_server.Swift, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "ST_KEY"):
        monkeypatch.setenv(name, "open-sesame")
    for store in (S3Store(bucket, endpoint=swift.url), SwiftStore(bucket)):
        with pytest.raises(DebfleetError) as caught:
            store.put("a", b"")
        assert not isinstance(caught.value, StoreDownError) and "open-sesame" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        "ftp://x/y",
        "s3://",
        "swift:///x",
        "s3://x/y?setle=1",
        "s3://x?settle=long",
        "swift://x?endpoint=y",
        "s3://x?settle=-1",
    ],
)
def test_what_is_no_address(wrong: str, swift: swift_server.Swift) -> None:
    with pytest.raises(DebfleetError):
        address.opened(wrong)


class Identity(http.server.BaseHTTPRequestHandler):
    """Keystone's answer to one question: a token for a name and password, and where the object store is."""

    token = url = ""

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        user = said["auth"]["identity"]["password"]["user"]
        assert (user["name"], user["password"]) == ("me", "secret")
        endpoint = {"interface": "public", "region": "r", "region_id": "r", "url": self.url, "id": "1"}
        catalog = [{"type": "object-store", "name": "swift", "id": "1", "endpoints": [endpoint]}]
        token = {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z", "catalog": catalog}
        body = json.dumps({"token": {**token, "issued_at": "2026-01-01T00:00:00.000000Z"}}).encode()
        self.send_response(201)
        self.send_header("X-Subject-Token", self.token)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_openstacks_own_variables(swift: swift_server.Swift, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity service is a stand-in; the object store that it names is real."""
    Identity.url, Identity.token = SwiftStore(bucket)._connection().get_auth()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Identity) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.delenv("ST_AUTH")
        said = {"AUTH_URL": f"http://127.0.0.1:{server.server_port}/v3", "USERNAME": "me", "PASSWORD": "secret"}
        said |= {"PROJECT_NAME": "p", "USER_DOMAIN_NAME": "d", "PROJECT_DOMAIN_NAME": "d"}
        for name, value in said.items():
            monkeypatch.setenv(f"OS_{name}", value)
        try:
            store = SwiftStore(bucket)
            store.put("a", b"one")
            assert store.get("a") == b"one"
        finally:
            server.shutdown()


def test_nobody_said_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("ST_", "OS_")):
            monkeypatch.delenv(name)
    with pytest.raises(DebfleetError, match="who we are"):
        SwiftStore("x")
