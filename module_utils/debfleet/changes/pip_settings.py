# SPDX-License-Identifier: GPL-3.0-or-later
"""What pip of the building machine uses to get packages: it holds for pip inside the tree while building."""

from __future__ import annotations

import configparser
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .. import journal
from ..bootstrap import mirror

LISTS = ("extra-index-url", "find-links", "trusted-host")
KEPT = ("index-url", *LISTS, "no-index", "proxy", "timeout", "retries", "cert", "client-cert")
FILES = ("cert", "client-cert")
SPELT = {"default-timeout": "timeout"}
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
INSIDE = "/run/pip"  # in the tree, while pip runs
CONF = "pip.conf"
ETC = Path("/etc")


@dataclass(frozen=True)
class Prepared:
    """A pip.conf for use inside a tree: the folders to be bound, host path to path inside, and the secrets in it."""

    binds: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    @property
    def env(self) -> dict[str, str]:
        """What tells pip of it."""
        return {"PIP_CONFIG_FILE": f"{INSIDE}/{CONF}"} if self.binds else {}


def read(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The builder's settings about getting packages, from its files and its environment; lists separated by spaces."""
    given = os.environ if environment is None else environment
    found: dict[str, str] = {}
    for path in _files(given):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue  # pip itself would say so
        for section in ("global", "install"):
            if parser.has_section(section):
                found.update({_name(key): value for key, value in parser.items(section)})
    named = {_name(key.removeprefix("PIP_")): value for key, value in given.items() if key.startswith("PIP_")}
    bundle = next((given[name] for name in BUNDLES if given.get(name)), "")
    everything = {"cert": bundle, **found, **named}
    return {key: value for key, value in everything.items() if key in KEPT and value.strip()}


def _name(key: str) -> str:
    spelt = key.lower().replace("_", "-")
    return SPELT.get(spelt, spelt)


def _files(given: Mapping[str, str]) -> list[Path]:
    own = given.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return []
    home = Path(given.get("HOME") or "/root")
    shared = [Path(folder) / "pip" for folder in (given.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    folders = [*shared, ETC, home / ".pip", Path(given.get("XDG_CONFIG_HOME") or home / ".config") / "pip"]
    return [folder / CONF for folder in [*folders, Path(sys.prefix)]] + ([Path(own)] if own else [])


def prepare(settings: Mapping[str, str], folder: Path) -> Prepared:
    """Write the settings into a folder of the build, so that they hold where the folder is bound to INSIDE.

    Indices and folders of this machine are bound beside it; certificates are copied.
    """
    binds = {str(folder): INSIDE}
    lines = ["[global]"]
    for key, value in sorted(settings.items()):
        if key in FILES:
            if Path(value).is_file():
                shutil.copyfile(value, folder / key)
                lines.append(f"{key} = {INSIDE}/{key}")
            continue
        words = [_inside(word, key, binds) for word in value.split()] if key in (*LISTS, "index-url") else [value]
        if kept := [word for word in words if word]:
            lines.append(f"{key} = {' '.join(kept)}")
    path = folder / CONF
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Prepared(binds, secrets(settings))


def _inside(word: str, key: str, binds: dict[str, str]) -> str:
    """A place as the tree sees it: another machine's stays, a folder of this one is bound, what is gone is left out."""
    parts = urlsplit(word)
    if parts.scheme not in ("", "file") or key == "trusted-host":
        return word
    path = Path(unquote(parts.path)).absolute()
    # Pages of an index name their files relative to a folder further up.
    bound = path if key == "find-links" else path.parent
    if not path.is_dir():
        journal.log(f"pip: {key} {path} is not there, and left out")
        return ""
    place = binds.setdefault(str(bound), f"{INSIDE}.{len(binds)}")
    return place if bound == path else f"file://{place}/{path.name}/"


def secrets(settings: Mapping[str, str]) -> tuple[str, ...]:
    """User and password of each address in the settings, to be masked."""
    return mirror.credentials(" ".join(settings.values()))
