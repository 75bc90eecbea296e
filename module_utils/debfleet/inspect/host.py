# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine that builds must not leave in an image: its names, resolvers, mirrors and proxies."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..bootstrap.mirror import index_targets
from ..errors import DebfleetError
from ..run import run

NOBODY = {"", "localhost", "localdomain"}  # names that every machine has
OFFICIAL = "debian.org"  # what Debian itself serves is nobody's own mirror


@dataclass(frozen=True)
class Host:
    """The builder, as it may show in an image."""

    names: frozenset[str] = frozenset()  # host names, short and full
    nameservers: frozenset[str] = frozenset()
    resolver: str = ""  # the text of its /etc/resolv.conf
    mirrors: frozenset[str] = frozenset()  # "host" or "host:port", or a path for file: and copy:
    proxies: frozenset[str] = frozenset()  # "host:port"

    @classmethod
    def current(cls) -> Host:
        """The machine this runs on. Tools that aren't there tell nothing."""
        names = {socket.gethostname(), *hostname_file()}
        names |= {name.split(".")[0] for name in names}
        resolver = ""
        with contextlib.suppress(OSError):
            resolver = Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace")
        return cls(
            frozenset(names - NOBODY),
            frozenset(nameservers(resolver)),
            resolver,
            frozenset(_mirrors()),
            frozenset(_proxies()),
        )


def hostname_file() -> list[str]:
    """The words of the builder's /etc/hostname and /etc/mailname."""
    words = []
    for path in ("/etc/hostname", "/etc/mailname"):
        with contextlib.suppress(OSError):
            words += Path(path).read_text(encoding="utf-8", errors="replace").split()
    return words


def nameservers(text: str) -> list[str]:
    """The name servers of a resolv.conf."""
    return re.findall(r"^\s*nameserver\s+(\S+)", text, re.MULTILINE)


def place(uri: str) -> str:
    """What tells a mirror or proxy: its host with its port, else its path."""
    parts = urlsplit(uri)
    return parts.netloc.rpartition("@")[2] or parts.path.rstrip("/")


def official(where: str) -> bool:
    """Whether a host is one of Debian's own."""
    host = where.split(":")[0]
    return host == OFFICIAL or host.endswith("." + OFFICIAL)


def _said(argv: list[str]) -> str:
    try:
        return run(argv, check=False).stdout
    except DebfleetError:
        return ""


def _mirrors() -> set[str]:
    try:
        targets = index_targets().splitlines()
    except DebfleetError:
        return set()
    found = {place(line.partition("|")[0]) for line in targets}
    return {where for where in found if where and not official(where)}


def _proxies() -> set[str]:
    settings = re.findall(
        r'^Acquire::\w+::Proxy(?:::\S+)? "([^"]+)"', _said(["apt-config", "dump", "Acquire"]), re.M | re.I
    )
    settings += [value for name, value in os.environ.items() if re.fullmatch(r"(https?|ftp|all)_proxy", name.lower())]
    return {where for uri in settings if (where := place(uri if "://" in uri else f"http://{uri}")) and uri != "DIRECT"}
