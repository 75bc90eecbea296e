# SPDX-License-Identifier: GPL-3.0-or-later
"""A store in a bucket of S3, or of a server that speaks its protocol. Who we are is told as to every client of AWS."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from debfleet.common.errors import DebfleetError

from .objects import SETTLE_SECONDS, TIMEOUT_SECONDS, ObjectStore, missing
from .store import AbsentError, Content, StoreDownError

REFUSED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
ABSENT = ("NoSuchKey", "404", "NotFound")
# Answers of a server that is there and can't do it now.
DOWN = ("SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests")


class S3Store(ObjectStore):
    """A store in a bucket, which there must be.

    :param endpoint: the server's URL; empty for AWS.
    """

    def __init__(
        self, bucket: str, prefix: str = "", endpoint: str = "", region: str = "", settle: float = SETTLE_SECONDS
    ) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise missing("boto3", "ec2") from error
        super().__init__(f"s3://{bucket}/{prefix.strip('/')}".rstrip("/"), prefix, settle)
        self.bucket = bucket
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 4},
            connect_timeout=TIMEOUT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,
            request_checksum_calculation="when_required",  # what else there is than AWS doesn't know the newer ones
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if endpoint else "auto"},
        )
        with self._told("open"):
            self.client = boto3.session.Session().client(
                "s3", endpoint_url=endpoint or None, region_name=region or None, config=config
            )

    @contextlib.contextmanager
    def _told(self, what: str, name: str = "") -> Iterator[None]:
        from botocore import exceptions

        where = f"{self.address}: {name}" if name else self.address
        try:
            yield
        except exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in ABSENT:
                raise AbsentError(where) from error
            kind = StoreDownError if status >= 500 or code in DOWN or status == 429 else DebfleetError
            raise kind(f"could not {what} results", where=where, why=str(error)) from error
        except (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.IncompleteReadError) as error:
            raise StoreDownError(f"could not {what} results", where=where, why=str(error)) from error
        except exceptions.NoCredentialsError as error:
            hint = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
            raise DebfleetError(f"could not {what} results", where=where, why=str(error), hint=hint) from error
        except (exceptions.BotoCoreError, ValueError) as error:
            raise DebfleetError(f"could not {what} results", where=where, why=str(error)) from error

    def _write(self, name: str, content: Content, *, new: bool) -> bool:
        from botocore.exceptions import ClientError

        only: dict[str, Any] = {"IfNoneMatch": "*"} if new else {}
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._told("write", name))
            body = content if isinstance(content, bytes) else stack.enter_context(open(content, "rb"))
            try:
                self.client.put_object(Bucket=self.bucket, Key=name, Body=body, **only)
            except ClientError as error:
                if new and str(error.response.get("Error", {}).get("Code")) in REFUSED:
                    return False
                raise
        return True

    def _read(self, name: str) -> Any:
        with self._told("read", name):
            body = self.client.get_object(Bucket=self.bucket, Key=name)["Body"]
        return _Body(self, name, body)

    def _has(self, name: str) -> bool:
        try:
            with self._told("look for", name):
                self.client.head_object(Bucket=self.bucket, Key=name)
        except AbsentError:
            return False
        return True

    def _names(self, prefix: str) -> Iterator[tuple[str, int]]:
        with self._told("list", prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                yield from ((one["Key"], one["Size"]) for one in page.get("Contents", ()))

    def _folders(self, prefix: str) -> Iterator[str]:
        pages = self.client.get_paginator("list_objects_v2")
        with self._told("list", prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/"):
                yield from (one["Prefix"] for one in page.get("CommonPrefixes", ()))

    def _remove(self, name: str) -> None:
        with contextlib.suppress(AbsentError), self._told("delete", name):
            self.client.delete_object(Bucket=self.bucket, Key=name)

    def _tried(self) -> bool:
        """Begin a write, make another one meanwhile, and end the first: it must be refused then.

        Where that can't be tried, as through a proxy, nothing is sure.
        """
        name = f"{self.prefix}.probe/{uuid.uuid4().hex}"
        with self._told("write", name):
            parameters = {"Bucket": self.bucket, "Key": name, "IfNoneMatch": "*"}
            url = urlsplit(self.client.generate_presigned_url("put_object", parameters, 300))
        try:
            host = str(url.hostname)
            context = ssl.create_default_context()
            connection = (
                http.client.HTTPSConnection(host, url.port, timeout=TIMEOUT_SECONDS, context=context)
                if url.scheme == "https"
                else http.client.HTTPConnection(host, url.port, timeout=TIMEOUT_SECONDS)
            )
            with contextlib.closing(connection):
                connection.putrequest("PUT", f"{url.path}?{url.query}")
                for header, value in (("If-None-Match", "*"), ("Content-Length", "2")):
                    connection.putheader(header, value)
                connection.endheaders(b"a")
                if not self._write(name, b"b", new=True) or self._write(name, b"c", new=True):
                    return False
                connection.send(b"a")
                return connection.getresponse().status in (409, 412)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            self._remove(name)


class _Body:
    """An object that is being read, with errors in our words."""

    def __init__(self, store: S3Store, name: str, body: Any) -> None:
        self.store, self.name, self.body = store, name, body

    def read(self, size: int | None = None) -> bytes:
        """The next bytes."""
        with self.store._told("read", self.name):
            return bytes(self.body.read(size))

    def close(self) -> None:
        """Let go of the connection."""
        self.body.close()
