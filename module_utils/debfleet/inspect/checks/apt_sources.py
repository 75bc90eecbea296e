# SPDX-License-Identifier: GPL-3.0-or-later
"""Neither the builder's mirror, nor its proxy, nor its apt settings or credentials are in the image."""

from __future__ import annotations

import re

from ..apt_conf import settings
from ..host import official, place
from ..results import Result
from ..subject import Subject

APT = "/etc/apt"
PROXY_FILES = ("/etc/environment", "/etc/profile.d/*", "/etc/wgetrc", "/etc/pip.conf", "/etc/default/*")
PROXY_LOGIN = "/etc/apt/auth.conf.d/apt_proxy.conf"  # of the plugin apt_proxy, where the proxy stays
PROXY = re.compile(r"Acquire::\w+::Proxy(-Auto-Detect)?(::.*)?", re.IGNORECASE)
NO_PROXY = {"", "false", "direct"}
# Settings that make apt trust less carefully, and the value that is apt's own default.
DEFAULTS = {
    "check-valid-until": "true",
    "verify-peer": "true",
    "verify-host": "true",
    "allowinsecurerepositories": "false",
    "allowdowngradetoinsecurerepositories": "false",
    "allowweakrepositories": "false",
    "allowunauthenticated": "false",
}
TRUE = {"true", "yes", "on", "1", "with", "enable"}
URI = re.compile(r"\b[a-z+]+:/[^\s\]\"]*")


def check(subject: Subject, result: Result) -> None:
    """Everything below /etc/apt, and the usual places of a proxy."""
    root, asked, host = subject.root, subject.asked, subject.host
    result.look(APT, *PROXY_FILES)
    declared, apt_text = asked.mirrors(), asked.apt_text()
    for entry in root.below(APT):
        path = entry.path
        if not entry.is_file() or path.endswith((".gpg", ".asc")) or asked.copied(path):
            continue
        text = uncommented(root.text(path) or "")
        if path.startswith("/etc/apt/auth.conf"):
            if text.strip() and not (path == PROXY_LOGIN and asked.proxy()):
                result.find(path, "credentials of an archive", "remove it when cleaning")
            continue
        for uri in URI.findall(text):
            where = place(uri)
            if where in declared or uri in apt_text:
                continue
            if re.search(r"//[^/@\s]+@", uri):
                result.find(path, f"credentials in the address of {where}", "remove them")
            elif where in host.mirrors and not official(where):
                result.find(path, f"the builder's mirror {where}", "write the manifest's mirror, or the default")
            elif uri.startswith(("file:", "copy:", "cdrom:")):
                result.find(path, f"an archive of the builder's disk ({where})", "remove the line")
        if path.startswith("/etc/apt/apt.conf"):
            _settings(path, root.text(path) or "", apt_text, result)
    for path in root.glob(*PROXY_FILES):
        text = uncommented(root.text(path) or "")
        for proxy in sorted(host.proxies):
            if proxy in text and not asked.copied(path):
                result.find(path, f"the builder's proxy {proxy}", "remove it when cleaning")


def _settings(path: str, text: str, declared: str, result: Result) -> None:
    """Findings in one file of apt's settings; what the manifest declares is none."""
    for name, value in settings(text):
        if PROXY.fullmatch(name) and value.lower() not in NO_PROXY:
            where = place(value if "://" in value else f"http://{value}")
            if where.split(":")[0] not in declared:
                result.find(path, f"a proxy ({where})", "remove it, or declare it (apt_proxy)")
        last = name.rpartition("::")[2]
        default = DEFAULTS.get(last.lower())
        if default and (value.lower() in TRUE) != (default == "true") and last not in declared:
            result.find(path, f"a setting of the builder's apt: {name} {value}", "remove it")


def uncommented(text: str) -> str:
    """The text without comments of a line's whole length."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", "//")))
