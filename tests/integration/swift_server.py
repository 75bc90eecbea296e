# SPDX-License-Identifier: GPL-3.0-or-later
"""A real OpenStack Swift on the loopback, which speaks its own protocol and S3's: four processes in a folder."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 120.0  # seconds: generous, for busy machines
USER, KEY = "test:tester", "testing"
SWIFT_CONF = """
[swift-hash]
swift_hash_path_suffix = debfleet
swift_hash_path_prefix = debfleet
"""
SERVER = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
log_name = {name}
log_address = {folder}/no-syslog
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
log_address = {folder}/no-syslog
[pipeline:main]
pipeline = catch_errors proxy-logging cache listing_formats bulk s3api tempauth copy slo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
paste.filter_factory = swift_cache:factory
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
"""


@dataclass(frozen=True)
class Swift:
    """A server that runs: its port."""

    port: int

    @property
    def url(self) -> str:
        """What S3's clients take."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def auth(self) -> str:
        """What Swift's clients ask for a token."""
        return f"{self.url}/auth/v1.0"

    @property
    def environment(self) -> dict[str, str]:
        """What says who a client is, of either kind."""
        return {
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "ST_AUTH": self.auth,
            "ST_USER": USER,
            "ST_KEY": KEY,
        }


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


# In a process of its own: what Swift imports replaces threads and sockets by others.
RINGS = """
import sys
from swift.common.ring import RingBuilder
folder, *servers = sys.argv[1:]
for name, port in (server.split(":") for server in servers):
    builder = RingBuilder(4, 1, 0)
    device = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "d1", "weight": 1, "meta": ""}
    builder.add_dev({**device, "replication_ip": "127.0.0.1", "replication_port": int(port)})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{name}.ring.gz")
"""


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Swift]:
    """A server with nothing in it, until the block ends. The folder's filesystem has to keep extended attributes."""
    import getpass

    names = ("account", "container", "object", "proxy")
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    (folder / "devices/d1").mkdir(parents=True)
    (folder / "swift.conf").write_text(SWIFT_CONF)
    for name, port in ports.items():
        text = PROXY if name == "proxy" else SERVER
        words = {"port": port, "folder": folder, "user": getpass.getuser(), "name": name}
        (folder / f"{name}.conf").write_text(text.format(**words))
    servers = [f"{name}:{port}" for name, port in ports.items() if name != "proxy"]
    subprocess.run([sys.executable, "-c", RINGS, folder, *servers], check=True)
    with contextlib.ExitStack() as stack:
        programs = Path(sys.executable).parent
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        for name in names:
            log = stack.enter_context(open(folder / f"{name}.log", "wb"))
            program = [sys.executable, programs / f"swift-{name}-server", folder / f"{name}.conf", "--verbose"]
            argv = ["setpriv", "--pdeathsig", "KILL", "--", *program]
            process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment, start_new_session=True)
            stack.callback(_end, process)
        _wait(f"http://127.0.0.1:{ports['proxy']}/auth/v1.0", folder)
        yield Swift(ports["proxy"])


def _wait(url: str, folder: Path) -> None:
    request = urllib.request.Request(url, headers={"X-Auth-User": USER, "X-Auth-Key": KEY})
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except OSError:
            assert time.monotonic() < end, "\n".join(path.read_text() for path in folder.glob("*.log"))
            time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
