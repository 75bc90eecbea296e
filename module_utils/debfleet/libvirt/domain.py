# SPDX-License-Identifier: GPL-3.0-or-later
"""A running domain: transient, gone with its connection, written in the ledger before it is made."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .. import journal
from ..errors import DebfleetError
from ..ledger import Ledger
from .daemon import PREFIX, failed, library

STATES = ("none", "running", "blocked", "paused", "shutting down", "shut off", "crashed", "suspended")
FORWARD = re.compile(r"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)")


def unique_name(name: str) -> str:
    """A domain's name that no other has: `name` is shortened to what libvirt and files take."""
    short = re.sub(r"[^A-Za-z0-9.-]", "-", name)[:40]
    return f"{PREFIX}{short}-{os.getpid()}-{os.urandom(3).hex()}"


@dataclass
class Domain:
    """A domain that was started; `handle` is libvirt's."""

    connection: Any
    handle: Any
    name: str
    _stream: Any = None

    def state(self) -> str:
        """One of STATES, or `gone`."""
        try:
            return STATES[self.handle.state()[0]]
        except library().libvirtError:
            return "gone"

    def port(self) -> int:
        """The port of 127.0.0.1 that leads to the guest's SSH port."""
        import libvirt_qemu

        try:
            said = libvirt_qemu.qemuMonitorCommand(self.handle, "info usernet", 1)
        except library().libvirtError as error:
            raise failed(f"tell the forwarded port of {self.name}", error) from error
        found = FORWARD.search(said)
        if not found:
            raise DebfleetError(f"{self.name} has no forwarded port", why=said)
        return int(found[1])

    def type(self, text: str) -> None:
        """Type text into the first serial port."""
        libvirt = library()
        if self._stream is None:
            self._stream = self.connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
            self.handle.openConsole(None, self._stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
        self._stream.send(text.encode())
        self.drain()

    def drain(self) -> None:
        """Throw away what the console says: it is in the serial log as well, and a full pipe would stop the guest."""
        if self._stream is not None:
            with contextlib.suppress(library().libvirtError):
                while isinstance(got := self._stream.recv(65536), bytes) and got:
                    pass


@contextlib.contextmanager
def started(connection: Any, name: str, xml: str, ledger: Ledger | None = None) -> Iterator[Domain]:
    """Start a domain; it is destroyed when the block ends, when the connection does, or by the ledger."""
    libvirt = library()
    entry = ledger.add("domain", uri=connection.getURI(), name=name) if ledger else None
    journal.log(f"+ libvirt: create {name}\n{xml}")
    try:
        try:
            handle = connection.createXML(xml, libvirt.VIR_DOMAIN_START_AUTODESTROY)
        except libvirt.libvirtError as error:
            raise failed(f"start the domain {name}", error) from error
        domain = Domain(connection, handle, name)
        try:
            yield domain
        finally:
            with contextlib.suppress(libvirt.libvirtError):
                handle.destroy()
    finally:
        if ledger and entry:
            ledger.drop(entry)
