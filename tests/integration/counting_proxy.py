# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP proxy on 127.0.0.1 that wants a user and password, and counts what is asked of it.

Where the machine itself has a proxy, it goes on through that.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

CHUNK = 1 << 16
HOP = {"proxy-authorization", "proxy-connection", "connection", "keep-alive", "te", "transfer-encoding", "upgrade"}


@dataclass
class Seen:
    """Where the proxy listens, and what it has seen: requests by host with a login that is right, and others."""

    port: int = 0
    served: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


def upstream() -> str:
    """The machine's own proxy for apt, host and port; empty where it has none."""
    told = subprocess.run(["apt-config", "shell", "PROXY", "Acquire::http::Proxy"], text=True, capture_output=True)
    address = told.stdout.strip().removeprefix("PROXY=").strip("'") or os.environ.get("http_proxy", "")
    return urlsplit(address).netloc if "://" in address else ""


@contextlib.contextmanager
def counting_proxy(username: str, password: str) -> Iterator[Seen]:
    """Serve until the block ends."""
    seen = Seen()
    wanted = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
    beyond = upstream()

    class Handler(BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def allowed(self, host: str) -> bool:
            if self.headers.get("Proxy-Authorization") == wanted:
                seen.served[host] += 1
                return True
            seen.refused[host] += 1
            self.send_response(407)
            self.send_header("Proxy-Authenticate", 'Basic realm="test"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return False

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if not self.allowed(parts.netloc):
                return
            target = self.path if beyond else f"{parts.path}{'?' if parts.query else ''}{parts.query}"
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            connection = http.client.HTTPConnection(beyond or parts.netloc, timeout=120)
            with contextlib.closing(connection):
                connection.request("GET", target, headers=headers)
                answer = connection.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                if answer.getheader("Content-Length") is None:
                    self.send_header("Connection", "close")
                self.end_headers()
                while chunk := answer.read(CHUNK):
                    self.wfile.write(chunk)

        def do_CONNECT(self) -> None:
            host, _, port = self.path.rpartition(":")
            if not self.allowed(host):
                return
            with socket.create_connection((host, int(port)), timeout=120) as other:
                self.send_response(200)
                self.end_headers()
                pairs = {self.connection: other, other: self.connection}
                while True:
                    for one in select.select(list(pairs), [], [], 120)[0]:
                        if not (data := one.recv(CHUNK)):
                            return
                        pairs[one].sendall(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Serve for a while; write port and process number into a file, and what was seen at the end."""
    username, password, told, seconds = sys.argv[1:]
    with counting_proxy(username, password) as seen:
        Path(told).write_text(json.dumps({"port": seen.port, "pid": os.getpid()}))
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        ended.wait(float(seconds))
    Path(told).write_text(json.dumps({"served": seen.served.total(), "refused": seen.refused.total()}))


if __name__ == "__main__":
    main()
