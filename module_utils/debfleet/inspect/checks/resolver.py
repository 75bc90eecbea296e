# SPDX-License-Identifier: GPL-3.0-or-later
"""No name server of the builder is in the image: /etc/resolv.conf is absent, a link, or names no server."""

from __future__ import annotations

import re

from ..host import nameservers
from ..results import Result
from ..subject import Subject

STATIC = ("/etc/resolv.conf", "/etc/resolvconf/resolv.conf.d/*", "/etc/resolv.conf.*")
OTHERS = ("/etc/systemd/resolved.conf", "/etc/systemd/resolved.conf.d/*", "/etc/network/interfaces")
LOOPBACK = ("127.", "::1")
HINT = "remove it, or link it to the resolver's file below /run"


def check(subject: Subject, result: Result) -> None:
    """resolv.conf, resolvconf's parts, and systemd-resolved's settings."""
    root, host = subject.root, subject.host
    result.look(*STATIC, *OTHERS)
    for path in root.glob(*STATIC):
        text = root.text(path)
        if text is None or subject.asked.copied(path):
            continue
        servers = [server for server in nameservers(text) if not server.startswith(LOOPBACK)]
        if text.strip() and text.strip() == host.resolver.strip():
            result.find(path, "the builder's own resolv.conf", HINT)
        elif servers:
            own = " (the builder's)" if host.nameservers & set(servers) else ""
            what = f"a fixed name server {', '.join(servers)}{own}"
            result.find(path, what, HINT)
    for path in root.glob(*OTHERS):
        if subject.asked.copied(path):
            continue
        text = re.sub(r"(?m)^\s*[#;].*$", "", root.text(path) or "")
        for server in sorted(host.nameservers):
            if re.search(rf"(?<![\w.:]){re.escape(server)}(?![\w.:])", text) and not server.startswith(LOOPBACK):
                result.find(path, f"the builder's name server {server}", "remove it when cleaning")
