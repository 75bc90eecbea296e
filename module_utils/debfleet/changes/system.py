# SPDX-License-Identifier: GPL-3.0-or-later
"""Locale, time zone and host name of the tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..namespace import run_in_root
from .files import make_links, write_files
from .request import Tree, expect_keys

ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
LOCALE = re.compile(r"[A-Za-z_]+(@[a-z]+)?")
CHARMAP = re.compile(r"[A-Za-z0-9_-]+")


def check_locale(value: Any) -> None:
    """{locale: en_US, charmap: UTF-8}."""
    expect_keys(value, {"locale", "charmap"}, set())
    if not LOCALE.fullmatch(value["locale"]) or not CHARMAP.fullmatch(value["charmap"]):
        raise ValueError(f"{value['locale']} with {value['charmap']} is no locale and charmap")


def set_locale(tree: Tree, value: Mapping[str, str]) -> None:
    """Generate the locale, and make it the system's; C and POSIX need no generating."""
    name, _, modifier = value["locale"].partition("@")
    modifier = f"@{modifier}" if modifier else ""
    lang = f"{name}.{value['charmap']}{modifier}"
    if name in ("C", "POSIX"):
        lang = "C.UTF-8" if value["charmap"] == "UTF-8" else name
    else:
        write_files(tree, [{"path": "/etc/locale.gen", "content": f"{lang} {value['charmap']}\n"}])
        run_in_root(tree.root, ["locale-gen"])
    run_in_root(tree.root, ["update-locale", "--reset", f"LANG={lang}"])


def check_timezone(value: Any) -> None:
    """A name of the tz database, like Europe/Berlin."""
    if not isinstance(value, str) or not ZONE.fullmatch(value):
        raise ValueError(f"{value!r} is no time zone")


def set_timezone(tree: Tree, value: str) -> None:
    """Make it the system's time zone."""
    make_links(tree, [{"path": "/etc/localtime", "target": f"/usr/share/zoneinfo/{value}"}])
    write_files(tree, [{"path": "/etc/timezone", "content": f"{value}\n"}])


def check_hostname(value: Any) -> None:
    """A host name, or an empty string for none of its own."""
    if not isinstance(value, str) or not re.fullmatch(r"([a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?)?", value):
        raise ValueError(f"{value!r} is no host name")


def set_hostname(tree: Tree, value: str) -> None:
    """Name the system; without a name it takes the one that DHCP or cloud-init gives, else localhost."""
    short = value.partition(".")[0]
    names = f"{value} {short}" if short != value else value
    own = f"127.0.1.1\t{names}\n" if value else ""
    hosts = f"127.0.0.1\tlocalhost\n{own}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    hosts += "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
    write_files(tree, [{"path": "/etc/hosts", "content": hosts}])
    if value:
        write_files(tree, [{"path": "/etc/hostname", "content": f"{short}\n"}])
    else:
        tree.path("/etc/hostname").unlink(missing_ok=True)
