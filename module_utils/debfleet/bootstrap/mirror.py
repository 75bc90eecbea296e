# SPDX-License-Identifier: GPL-3.0-or-later
"""Which mirror a build uses, and which sources its image is given.

While building: the manifest's mirror; else the builder's own apt sources; else the bootstrap tool's own default.
In the image: the manifest's; else the bootstrap tool's default, never the builder's. Nothing here names a host.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from .. import journal
from ..answers import once
from ..errors import DebfleetError
from ..run import find, run
from .outline import targets_of_machine
from .sources import Source, parse_lines, signed_by_of

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ROLLING = ("sid", "unstable", "experimental", "rc-buggy")  # suites without updates and security
HOLDING = re.compile(
    r"^Acquire::(Check-Valid-Until|Check-Date|M(ax|in)-ValidTime\b.*|Retries.*|Force.*|https?::.*|ftp::.*|tor.*)$", re.I
)
PROXY = re.compile(r"Acquire::\w+::Proxy\b", re.IGNORECASE)
TARGETS = "$(REPO_URI)|$(RELEASE)|$(LABEL)|$(COMPONENT)|$(SOURCESENTRY)|$(IDENTIFIER)"


@dataclass(frozen=True)
class Entry:
    """One suite of the builder's own apt sources."""

    uri: str
    release: str
    label: str
    signed_by: str

    @property
    def security(self) -> bool:
        """Whether it is a security pocket."""
        return self.label == "Debian-Security" or self.release.endswith(("-security", "/updates"))


@dataclass(frozen=True)
class Builder:
    """What apt of the building machine uses: its Debian sources, and its settings about getting things."""

    entries: tuple[Entry, ...] = ()
    settings: tuple[str, ...] = ()

    def main(self, suite: str) -> Entry | None:
        """The entry whose mirror has the archive: the one of this suite, else of any."""
        entries = [entry for entry in self.entries if not entry.security]
        return next((entry for entry in entries if entry.release == suite), entries[0] if entries else None)

    def security(self) -> Entry | None:
        """The entry whose mirror has security updates."""
        return next((entry for entry in self.entries if entry.security), None)


@dataclass(frozen=True)
class Wish:
    """What a manifest says about mirrors, in its own words."""

    suite: str
    components: tuple[str, ...] = ("main",)
    bootstrap_mirror: str | None = None
    mirror: str | None = None
    security: str | None = None
    keyring: str | None = None
    no_check: bool = False
    proxy: str = ""  # address of a proxy for apt, with user and password
    tool: str = "mmdebstrap"


@dataclass(frozen=True)
class Mirrors:
    """The sources of a build.

    `needed` must be there; of `pockets`, lists of alternatives, the first that the mirror has is used, or none.
    `image` is what is written into the image, before it is known which pockets the mirror has.
    """

    origin: str  # manifest, builder or tool
    needed: Source
    pockets: tuple[tuple[Source, ...], ...]
    image: tuple[Source, ...]
    settings: tuple[str, ...] = field(default=())
    proxy: str = ""

    @property
    def held(self) -> tuple[str, ...]:
        """Lines of apt.conf that hold while building: the builder's, but for its proxies where the manifest has one."""
        if not self.proxy:
            return self.settings
        others = [line for line in self.settings if not PROXY.match(line)]
        return (*others, f'Acquire::http::Proxy "{self.proxy}";')


def index_targets() -> str:
    """Every index that apt of this machine knows, a line each in the form of TARGETS."""
    return once("apt-get indextargets", lambda: targets_of_machine(TARGETS))


def read_builder() -> Builder:
    """What apt of this machine uses. Empty where there is no apt, or no Debian source."""
    try:
        targets = index_targets()
        settings = once("apt-config dump", lambda: run(["apt-config", "dump"]).stdout)
    except DebfleetError:
        return Builder()
    return Builder(parse_targets(targets), parse_settings(settings))


def parse_targets(text: str) -> tuple[Entry, ...]:
    """The Debian entries in the output of `apt-get indextargets` with TARGETS as its format."""
    entries: dict[tuple[str, str], Entry] = {}
    for line in text.splitlines():
        words = [word if not word.startswith("$(") else "" for word in line.split("|")]
        if len(words) != 6 or words[5] != "Packages" or words[1].endswith("/"):
            continue
        uri, release, label, _component, origin, _ = words
        looks = re.search(r"/debian(-security)?/?$", uri) is not None
        if label in ("Debian", "Debian-Security") or (not label and looks):
            key = (uri.rstrip("/"), release)
            entries.setdefault(key, Entry(*key, label, signed_by_of(origin)))
    return tuple(entries.values())


def parse_settings(dump: str) -> tuple[str, ...]:
    """The settings in the output of `apt-config dump` that say how things are got and what is taken."""
    lines = []
    for line in dump.splitlines():
        name, _, value = line.rstrip(";").partition(" ")
        if HOLDING.match(name.rstrip(":")) and value != '""':
            lines.append(f"{name} {value};")
    return tuple(lines)


def pockets_of(suite: str) -> tuple[str, ...]:
    """The pockets a suite may have besides itself: updates, and security by its two names."""
    return () if suite in ROLLING else (f"{suite}-updates", f"{suite}-security")


def sibling(mirror: str) -> str:
    """Where a mirror of the archive has the security archive, if it has one: beside it."""
    return f"{mirror.rstrip('/')}-security"


def plan(wish: Wish, builder: Builder, default: Sequence[Source]) -> Mirrors:
    """Decide the sources of a build.

    :param default: the bootstrap tool's own default for the suite, the archive's first.
    :raises DebfleetError: when no rule gives a mirror.
    """
    stated = wish.bootstrap_mirror or wish.mirror
    own = builder.main(wish.suite)
    options = (("trusted", "yes"),) if wish.no_check else ()

    def source(uri: str, suite: str, signed_by: str) -> Source:
        return Source(uri.rstrip("/"), suite, wish.components, wish.keyring or signed_by, options)

    tool_main, tool_security = _split(default)
    fallback = str(KEYRING) if KEYRING.exists() else ""
    if stated:
        origin, main = "manifest", source(stated, wish.suite, fallback)
        guards = [(sibling(stated), fallback)]
    elif own:
        origin, main = "builder", source(own.uri, wish.suite, own.signed_by)
        guard = builder.security()
        guards = [(guard.uri, guard.signed_by)] if guard else [(sibling(own.uri), own.signed_by)]
    elif tool_main:
        origin, main = "tool", source(tool_main.uri, wish.suite, tool_main.signed_by or fallback)
        guards = [(tool_security.uri, fallback)] if tool_security else [(sibling(tool_main.uri), fallback)]
    else:
        raise DebfleetError(
            f"no mirror is known for {wish.suite}",
            why="the manifest names none, this machine's apt has none, and the bootstrap tool has no default",
            hint="name one in packages.mirror",
        )
    if wish.security:
        guards = [(wish.security, fallback)]
    pockets = []
    for name in pockets_of(wish.suite):
        if name.endswith("-security"):
            pockets.append(tuple(source(uri, name, signed) for uri, signed in guards))
        else:
            pockets.append((source(main.uri, name, main.signed_by),))
    settings = builder.settings if origin == "builder" else ()
    return Mirrors(origin, main, tuple(pockets), _image(wish, default), settings, wish.proxy)


def _split(default: Iterable[Source]) -> tuple[Source | None, Source | None]:
    default = list(default)
    security = [source for source in default if source.suite.endswith(("-security", "/updates"))]
    main = [source for source in default if source not in security]
    return (main[0] if main else None), (security[0] if security else None)


def _image(wish: Wish, default: Sequence[Source]) -> tuple[Source, ...]:
    main, security = _split(default)
    archive = wish.mirror or (main.uri if main else None)
    guard = wish.security or (security.uri if security else None)
    if archive is None:
        return ()
    if guard is None:
        guard = sibling(archive)
    plain = Source(archive.rstrip("/"), wish.suite, wish.components)
    pockets = [
        replace(plain, suite=name, uri=guard.rstrip("/") if name.endswith("-security") else plain.uri)
        for name in pockets_of(wish.suite)
    ]
    return (plain, *pockets)


def tool_default(suite: str, components: Sequence[str]) -> tuple[Source, ...]:
    """The sources that the bootstrap tool uses by itself for a suite, asked from the tool. Empty where it has none."""
    try:
        find("mmdebstrap")
    except DebfleetError:
        return _debootstrap_default(suite, components)
    found = _mmdebstrap_default(suite, components)
    return found or _debootstrap_default(suite, components)


def _mmdebstrap_default(suite: str, components: Sequence[str]) -> tuple[Source, ...]:
    """Let mmdebstrap begin a tree, read the sources.list that it wrote, and let it end there."""
    question = f"mmdebstrap {suite} {' '.join(components)}"
    try:
        lines = parse_lines(once(question, lambda: _mmdebstrap_sources(suite, components)))
    except ValueError:
        return ()
    return tuple(replace(source, signed_by="") for source in lines)


def _mmdebstrap_sources(suite: str, components: Sequence[str]) -> str:
    with tempfile.TemporaryDirectory(prefix="debfleet-") as folder:
        out = Path(folder) / "sources"
        out.touch()
        tree = Path(folder) / "tree"
        end = 'cat "$1/etc/apt/sources.list" > "$0"; exit 1'
        hook = f"sh -c '{end}' {out} \"$1\""
        mode = "root" if os.geteuid() == 0 else "chrootless"  # it ends before it would enter the tree
        what = ["--variant=custom", f"--components={','.join(components)}", f"--setup-hook={hook}"]
        run(["mmdebstrap", f"--mode={mode}", *what, suite, tree], check=False)
        return out.read_text(encoding="utf-8")


def _debootstrap_default(suite: str, components: Sequence[str]) -> tuple[Source, ...]:
    """The mirror that the installed debootstrap states as its own."""
    try:
        text = Path(find("debootstrap")).read_text(encoding="utf-8")
    except (DebfleetError, OSError):
        return ()
    match = re.search(r'^DEF_MIRROR="([^"]+)"', text, re.MULTILINE)
    return (Source(match[1].rstrip("/"), suite, tuple(components)),) if match else ()


def told(mirrors: Mirrors) -> list[str]:
    """Sentences for the log: where the packages come from, and which of the builder's settings hold."""
    whose = {"manifest": "the manifest's", "builder": "this machine's own", "tool": "the bootstrap tool's default"}
    lines = [f"packages come from {whose[mirrors.origin]} mirror: {hidden(mirrors.needed.uri)}"]
    lines += [f"this apt setting holds while building: {hidden(line)}" for line in mirrors.held]
    return lines


def hidden(text: str) -> str:
    """The text without user and password of the addresses in it."""
    return re.sub(r"(\w://)[^/@\s\"]+@", rf"\1{journal.MASK}@", text)


def credentials(text: str) -> tuple[str, ...]:
    """User and password of each address in a text, and the password alone, as it is written and as it is meant."""
    found = re.findall(r"://([^/\s@\"]+)@", text)
    passwords = [pair.partition(":")[2] for pair in found if ":" in pair]
    return tuple(dict.fromkeys([*found, *passwords, *map(unquote, passwords)]))


def wish_of(bootstrapper: dict[str, Any], packages: dict[str, Any], suite: str, proxy: str = "") -> Wish:
    """The wish in the canonical manifest's sections.

    :param proxy: address of the proxy that apt shall use while building; this machine's settings when empty.
    """
    return Wish(
        suite=suite,
        components=tuple(packages.get("components") or ("main",)),
        bootstrap_mirror=bootstrapper.get("mirror"),
        mirror=packages.get("mirror"),
        security=packages.get("security"),
        keyring=bootstrapper.get("keyring"),
        no_check=bool(bootstrapper.get("no-check-gpg")),
        proxy=proxy,
        tool=bootstrapper.get("tool") or "mmdebstrap",
    )
