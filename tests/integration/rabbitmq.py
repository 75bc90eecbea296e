# SPDX-License-Identifier: GPL-3.0-or-later
"""A RabbitMQ server for tests: plain processes with folders and ports of their own, on 127.0.0.1 only."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from debfleet.common.errors import MissingError

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
PATIENCE = 180.0
ADMIN, PASSWORD = "master", "hunter22-for-tests"
WORKER = "worker"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _hashed(password: str) -> str:
    """A password as RabbitMQ's definitions have it."""
    salt = b"salt"
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _definitions(rights: Mapping[str, str]) -> str:
    """A master that may do all, and a worker with the rights that are to be given to workers."""
    user = {"password_hash": _hashed(PASSWORD), "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": []}
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return json.dumps(
        {
            "users": [{"name": name, **user} for name in (ADMIN, WORKER)],
            "vhosts": [{"name": "/"}],
            "permissions": [
                {"user": ADMIN, "vhost": "/", **everything},
                {"user": WORKER, "vhost": "/", **rights},
            ],
        }
    )


@dataclass
class Server:
    """A server in a folder. It may be killed and started again; what it queued is still there then."""

    folder: Path
    port: int = field(default_factory=free_port)
    tls_port: int = 0
    process: subprocess.Popen[bytes] | None = None
    epmd: subprocess.Popen[bytes] | None = None

    def prepare(self, rights: Mapping[str, str], tls: Mapping[str, Path] | None = None) -> None:
        """Write its configuration.

        :param tls: files `cafile`, `certfile` and `keyfile`, to listen by TLS too.
        """
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            f"load_definitions = {self.folder}/definitions.json",
            "loopback_users = none",
            "vm_memory_high_watermark.absolute = 1GB",
            "disk_free_limit.absolute = 50MB",
            "log.console = false",
            "log.file = server.log",
        ]
        if tls:
            self.tls_port = free_port()
            lines += [f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}"]
            for key, option in (("cafile", "cacertfile"), ("certfile", "certfile"), ("keyfile", "keyfile")):
                own = self.folder / tls[key].name  # which the server's user can read
                shutil.copyfile(tls[key], own)
                lines += [f"ssl_options.{option} = {own}"]
            lines += ["ssl_options.verify = verify_none", "ssl_options.fail_if_no_peer_cert = false"]
        (self.folder / "rabbitmq.conf").write_text("".join(f"{line}\n" for line in lines))
        (self.folder / "plugins").write_text("[].\n")
        (self.folder / "definitions.json").write_text(_definitions(rights))
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, "rabbitmq")

    def start(self) -> None:
        """Start it, and wait until it listens. Its processes are a group of their own, known by their leader's id."""
        epmd_port, at = str(free_port()), self.folder
        settings = {
            "HOME": str(at), "ERL_EPMD_PORT": epmd_port, "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"debfleet-{self.port}@localhost", "RABBITMQ_CONFIG_FILE": str(at / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(at / "plugins"), "RABBITMQ_MNESIA_BASE": str(at / "data"),
            "RABBITMQ_LOG_BASE": str(at / "log"), "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_PID_FILE": str(at / "pid"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
            "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
        }  # fmt: skip
        other = ["runuser", "-u", "rabbitmq", "--"] if os.geteuid() == 0 else []
        with open(at / "output", "ab") as output:
            usual = {"env": settings, "cwd": at, "stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            self.epmd = subprocess.Popen(
                [*other, "epmd", "-address", "127.0.0.1", "-port", epmd_port], start_new_session=True, **usual
            )
            self.process = subprocess.Popen([*other, SERVER], start_new_session=True, **usual)
        end = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.2)

    def _answers(self) -> bool:
        """Whether AMQP is spoken: the socket opens before the definitions are read."""
        log = self.folder / "log/server.log"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return log.exists() and "Server startup complete" in log.read_text(errors="replace")[self._mark :]
        return False

    _mark: int = 0

    def kill(self) -> None:
        """End it as a crash does."""
        log = self.folder / "log/server.log"
        for process in (self.process, self.epmd):
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.process = self.epmd = None
        self._mark = len(log.read_text(errors="replace")) if log.exists() else 0

    def said(self) -> str:
        """What it said, for a failure."""
        files = [self.folder / "output", *self.folder.glob("log/*")]
        return "".join(f"--- {path}\n{path.read_text(errors='replace')[-4000:]}\n" for path in files if path.is_file())

    def url(self, user: str, **settings: str) -> str:
        """Its address, for a user; the password is in a file of the folder."""
        query = "&".join(f"{key}={value}" for key, value in settings.items())
        return f"amqp://{user}@127.0.0.1:{self.port}/?password_file={self.folder}/password" + (
            f"&{query}" if query else ""
        )


@contextlib.contextmanager
def server(rights: Mapping[str, str], tls: Mapping[str, Path] | None = None) -> Iterator[Server]:
    """A server that runs until the end."""
    if not SERVER.exists():
        raise MissingError("RabbitMQ is not installed", hint="apt-get install rabbitmq-server")
    folder = Path(tempfile.mkdtemp(prefix="rabbitmq-", dir="/tmp"))
    made = Server(folder)
    try:
        (folder / "password").write_text(PASSWORD)
        made.prepare(rights, tls)
        made.start()
        yield made
    finally:
        made.kill()
        shutil.rmtree(folder)
