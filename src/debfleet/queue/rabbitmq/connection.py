# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a broker is, and how it is spoken to: by TLS, but on this machine itself.

    amqps://worker@master.example:5671/?password_file=/etc/debfleet/queue-password&cafile=/etc/debfleet/ca.pem

`certfile` and `keyfile` name a certificate of the worker's own, `register` the master's register.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from debfleet.common.errors import DebfleetError, MissingError
from debfleet.common.ledger import state_folder

if TYPE_CHECKING:
    import pika

SETTINGS = ("password_file", "cafile", "certfile", "keyfile", "register")
PORTS = {"amqp": 5672, "amqps": 5671}
HEARTBEAT = 30  # seconds: a node that froze is found in one or two of them
TIMEOUT = 20.0  # seconds to connect
VHOST = "/"


@dataclass(frozen=True)
class Address:
    """Where a broker is, and who we are there."""

    host: str
    port: int
    tls: bool
    vhost: str
    user: str
    password: str = field(repr=False)
    cafile: str = ""
    certfile: str = ""
    keyfile: str = ""
    register: Path = Path()

    @property
    def shown(self) -> str:
        """The address for a message, without the password."""
        return f"{'amqps' if self.tls else 'amqp'}://{self.user}@{self.host}:{self.port}/{self.vhost.strip('/')}"

    def parameters(self) -> pika.ConnectionParameters:
        """The same in pika's words. Raises MissingError without pika, DebfleetError for a bad certificate."""
        try:
            import pika
        except ImportError as error:
            raise MissingError("pika is not installed", hint="pip install 'debfleet[worker]'") from error
        options = None
        if self.tls:
            try:
                context = ssl.create_default_context(cafile=self.cafile or None)
                if self.certfile:
                    context.load_cert_chain(self.certfile, self.keyfile or None)
            except OSError as error:
                raise DebfleetError("could not read a certificate", where=self.shown, why=str(error)) from error
            options = pika.SSLOptions(context, self.host)
        return pika.ConnectionParameters(
            self.host,
            self.port,
            self.vhost,
            pika.PlainCredentials(self.user, self.password),
            ssl_options=options,
            heartbeat=HEARTBEAT,
            socket_timeout=TIMEOUT,
            stack_timeout=TIMEOUT,
            blocked_connection_timeout=300,
        )


def parse(url: str) -> Address:
    """Read an address. Raises DebfleetError for one that is none, that has no password, or no TLS where it must."""
    parts = urlsplit(url)
    said = {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
    if unknown := set(said) - set(SETTINGS):
        raise DebfleetError(f"no queue has the setting {', '.join(unknown)}", hint=f"known are {', '.join(SETTINGS)}")
    host = parts.hostname or "localhost"
    tls = parts.scheme == "amqps"
    if not tls and not is_here(host):
        raise DebfleetError(
            f"{host} is another machine, and amqp:// has no TLS", hint="write amqps://, with cafile= for your own CA"
        )
    return Address(
        host,
        parts.port or PORTS[parts.scheme],
        tls,
        unquote(parts.path[1:]) or VHOST,
        unquote(parts.username or "guest"),
        _password(unquote(parts.password or ""), said.get("password_file", "")),
        said.get("cafile", ""),
        said.get("certfile", ""),
        said.get("keyfile", ""),
        Path(said.get("register") or state_folder() / "register.sqlite"),
    )


def _password(given: str, file: str) -> str:
    if not file:
        return given or "guest"
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DebfleetError("could not read the queue's password", where=file, why=str(error)) from error


def is_here(host: str) -> bool:
    """Whether a host is this machine's loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def told(address: Address, doing: str) -> Iterator[None]:
    """Turn what pika raises into a DebfleetError."""
    import pika.exceptions

    try:
        yield
    except (pika.exceptions.AMQPError, OSError) as error:
        why = str(error) or repr(error.args[0] if error.args else error)
        raise DebfleetError(f"could not {doing}", where=address.shown, why=why, hint="is the broker up?") from error
