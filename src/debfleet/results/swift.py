# SPDX-License-Identifier: GPL-3.0-or-later
"""A store in a container of OpenStack Swift.

Who we are is told as to Swift's own client: ST_AUTH, ST_USER and ST_KEY, or the variables OS_* of OpenStack.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

from debfleet.common.errors import DebfleetError

from .objects import SETTLE_SECONDS, TIMEOUT_SECONDS, ObjectStore, missing
from .store import AbsentError, Content, StoreDownError

CHUNK = 1 << 16
PAGE = 10000
OPENSTACK = ("project_name", "project_id", "user_domain_name", "project_domain_name")


class SwiftStore(ObjectStore):
    """A store in a container, which there must be. It is never sure: Swift looks only when a write begins."""

    def __init__(self, container: str, prefix: str = "", settle: float = SETTLE_SECONDS) -> None:
        try:
            import swiftclient
        except ImportError as error:
            raise missing("python-swiftclient", "swift") from error
        super().__init__(f"swift://{container}/{prefix.strip('/')}".rstrip("/"), prefix, settle)
        self.container = container
        logging.getLogger("swiftclient").setLevel(logging.CRITICAL)  # errors are told by us
        self._client, self._local = swiftclient, threading.local()
        self._arguments = {"retries": 3, "timeout": TIMEOUT_SECONDS, **_credentials()}

    def _connection(self) -> Any:
        """One of its own for each thread, for they aren't made to be shared."""
        if not hasattr(self._local, "connection"):
            self._local.connection = self._client.Connection(**self._arguments)
        return self._local.connection

    @contextlib.contextmanager
    def _told(self, what: str, name: str = "") -> Iterator[Any]:
        where = f"{self.address}: {name}" if name else self.address
        try:
            yield self._connection()
        except self._client.ClientException as error:
            status = error.http_status or 0
            if status == 404 and what in ("read", "look for", "delete"):
                raise AbsentError(where) from error
            kind = StoreDownError if status >= 500 or status in (0, 408, 429, 498) else DebfleetError
            why = f"{error.msg}: {status} {error.http_reason or ''}".strip()
            raise kind(f"could not {what} results", where=where, why=why) from error
        except OSError as error:  # requests' errors are of that kind
            raise StoreDownError(f"could not {what} results", where=where, why=str(error)) from error

    def _write(self, name: str, content: Content, *, new: bool) -> bool:
        headers = {"If-None-Match": "*"} if new else {}
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(self._told("write", name))
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
            body = content if isinstance(content, bytes) else stack.enter_context(open(content, "rb"))
            try:
                connection.put_object(self.container, name, body, content_length=size, headers=headers)
            except self._client.ClientException as error:
                if new and error.http_status == 412:
                    return False
                raise
        return True

    def _read(self, name: str) -> Any:
        connection = self._client.Connection(**self._arguments)  # for as long as it is read
        with self._told("read", name):
            _, body = connection.get_object(self.container, name, resp_chunk_size=CHUNK)
        return _Body(self, name, connection, body)

    def _has(self, name: str) -> bool:
        try:
            with self._told("look for", name) as connection:
                connection.head_object(self.container, name)
        except AbsentError:
            return False
        return True

    def _names(self, prefix: str) -> Iterator[tuple[str, int]]:
        for one in self._listed(prefix, None):
            yield one["name"], one["bytes"]

    def _folders(self, prefix: str) -> Iterator[str]:
        yield from (one["subdir"] for one in self._listed(prefix, "/") if "subdir" in one)

    def _listed(self, prefix: str, delimiter: str | None) -> Iterator[dict[str, Any]]:
        marker = None
        while True:
            with self._told("list") as connection:
                _, found = connection.get_container(
                    self.container, prefix=prefix, delimiter=delimiter, marker=marker, limit=PAGE
                )
            yield from found
            if not found:
                return
            marker = found[-1].get("name") or found[-1]["subdir"]

    def _remove(self, name: str) -> None:
        with contextlib.suppress(AbsentError), self._told("delete", name) as connection:
            connection.delete_object(self.container, name)


class _Body:
    """An object that is being read, with errors in our words."""

    def __init__(self, store: SwiftStore, name: str, connection: Any, body: Any) -> None:
        self.store, self.name, self.connection, self.body = store, name, connection, body

    def read(self, size: int | None = None) -> bytes:
        """The next bytes."""
        with self.store._told("read", self.name):
            return bytes(self.body.read(size))

    def close(self) -> None:
        """Let go of the connection."""
        self.connection.close()


def _credentials() -> dict[str, Any]:
    """Who we are, for a Connection. Raises DebfleetError when nothing says it."""
    said = os.environ
    if {"ST_AUTH", "ST_USER", "ST_KEY"} <= said.keys():
        return {"authurl": said["ST_AUTH"], "user": said["ST_USER"], "key": said["ST_KEY"], "auth_version": "1"}
    if "OS_AUTH_URL" not in said:
        hint = "set ST_AUTH, ST_USER and ST_KEY, or OpenStack's OS_AUTH_URL and its like"
        raise DebfleetError("nothing says who we are to Swift", hint=hint)
    try:
        from keystoneauth1 import session
        from keystoneauth1.identity import v3
    except ImportError as error:
        raise missing("keystoneauth1", "swift") from error
    url = said["OS_AUTH_URL"]
    if "OS_APPLICATION_CREDENTIAL_ID" in said:
        auth: Any = v3.ApplicationCredential(
            url,
            application_credential_secret=said.get("OS_APPLICATION_CREDENTIAL_SECRET", ""),
            application_credential_id=said["OS_APPLICATION_CREDENTIAL_ID"],
        )
    else:
        told: dict[str, Any] = {name: said[f"OS_{name.upper()}"] for name in OPENSTACK if f"OS_{name.upper()}" in said}
        auth = v3.Password(url, username=said.get("OS_USERNAME", ""), password=said.get("OS_PASSWORD", ""), **told)
    region = {"region_name": said["OS_REGION_NAME"]} if "OS_REGION_NAME" in said else {}
    return {"session": session.Session(auth=auth, timeout=TIMEOUT_SECONDS), "os_options": region}
