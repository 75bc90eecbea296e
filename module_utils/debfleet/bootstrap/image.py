# SPDX-License-Identifier: GPL-3.0-or-later
"""apt's configuration inside the image: what the manifest declares, and nothing of the building machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import DebfleetError
from .sources import Source, parse_line, stanza

KEYRINGS = ("usr/share/keyrings/debian-archive-keyring.pgp", "usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR = "{apt_mirror}"  # in lines of packages.sources
ARMOUR = b"-----BEGIN PGP"
LEFT = (  # what the bootstrap tools leave, relative to the root
    "etc/resolv.conf", "etc/hostname", "etc/apt/sources.list", "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap", "etc/apt/apt.conf.d/00mmdebstrap", "var/lib/dbus/machine-id",
    "var/log/dpkg.log", "var/log/alternatives.log", "var/log/bootstrap.log", "var/cache/ldconfig/aux-cache",
)  # fmt: skip
# With /dev, for no user can make device nodes, and every kernel fills it: so an image is the same, whoever builds it.
EMPTIED = ("dev", "etc/apt/sources.list.d", "var/log/apt", "var/lib/apt/lists", "var/cache/apt", "run", "tmp")
KEPT = ("var/lib/apt/lists/partial", "var/cache/apt/archives", "run/lock")


@dataclass(frozen=True)
class ImageApt:
    """What the manifest says about apt in the image (its section `packages`)."""

    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    preferences: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    conf: Mapping[str, str] = field(default_factory=dict)
    keys: Sequence[str] = ()
    source_type: bool = False

    @classmethod
    def of(cls, packages: Mapping[str, Any]) -> ImageApt:
        """Take what is about apt out of the canonical manifest's packages."""
        return cls(
            packages.get("sources") or {},
            packages.get("preferences") or {},
            packages.get("apt.conf.d") or {},
            packages.get("trusted-keys") or (),
            bool(packages.get("include-source-type")),
        )

    def with_mirror(self, uri: str) -> ImageApt:
        """The same with {apt_mirror} filled in: left to us where the manifest names no mirror of its own."""
        filled = {name: [line.replace(MIRROR, uri) for line in lines] for name, lines in self.sources.items()}
        return replace(self, sources=filled)

    def repositories(self) -> list[Source]:
        """The manifest's further repositories as the build reads them: each signed by the key file the manifest names.

        :raises DebfleetError: naming the line that is no entry of apt's sources.
        """
        keys = {key_name(Path(key)): key for key in self.keys}
        found = []
        for name, lines in self.sources.items():
            for number, line in enumerate(lines):
                try:
                    source = parse_line(line)
                except ValueError as error:
                    raise DebfleetError(str(error), where=f"packages.sources.{name}[{number}]") from error
                named = Path(source.signed_by).name
                found.append(replace(source, signed_by=keys.get(named, source.signed_by)))
        return [source for source in found if source.kind == "deb"]


def key_name(key: Path) -> str:
    """The name of a key's file in the image: its ending tells apt whether it is armoured.

    :raises DebfleetError: when the file is none that apt can read.
    """
    try:
        begin = key.read_bytes()[:32]
    except OSError as error:
        raise DebfleetError(f"could not read the key {key}", where="packages.trusted-keys", why=str(error)) from error
    if begin[8:12] == b"KBXf" or not begin:
        raise DebfleetError(
            f"{key} is no key that apt reads",
            where="packages.trusted-keys",
            why="it is a keybox of GnuPG" if begin else "it is empty",
            hint="export it: gpg --no-default-keyring --keyring FILE --export --armor",
        )
    return key.stem + (".asc" if begin.lstrip().startswith(ARMOUR) else ".gpg")


def preferences_text(pins: Sequence[Mapping[str, Any]]) -> str:
    """The text of a file in preferences.d."""
    return "\n".join(
        f"Package: {pin['package']}\nPin: {pin['pin']}\nPin-Priority: {pin['pin-priority']}\n" for pin in pins
    )


def write_preferences(folder: Path, declared: ImageApt) -> None:
    """Write the manifest's pins into a preferences.d."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pins in declared.preferences.items():
        (folder / name).write_text(preferences_text(pins), encoding="utf-8")


def write_keys(folder: Path, declared: ImageApt) -> None:
    """Write the manifest's keys into a trusted.gpg.d."""
    folder.mkdir(parents=True, exist_ok=True)
    for key in map(Path, declared.keys):
        (folder / key_name(key)).write_bytes(key.read_bytes())


def scrub(root: Path) -> None:
    """Remove what the bootstrap tools, and apt from outside, leave in a tree of the building machine and of their work.

    A machine-id that is there is emptied: systemd makes one at the first boot.
    """
    for name in LEFT:
        (root / name).unlink(missing_ok=True)
    if (root / "etc/machine-id").exists():
        (root / "etc/machine-id").write_bytes(b"")
    kept = {root / name for name in KEPT}
    for name in EMPTIED:
        _empty(root / name, kept)


def _empty(folder: Path, kept: set[Path]) -> None:
    if folder.is_symlink() or not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            _empty(entry, kept)
            if entry not in kept and not any(entry in one.parents for one in kept):
                entry.rmdir()
        else:
            entry.unlink()


def write(root: Path, declared: ImageApt, sources: Sequence[Source], pockets: Sequence[str]) -> list[str]:
    """Write apt's configuration into a tree, in place of whatever sources it has.

    :param sources: the archive's suite and its pockets, as the plan of mirrors has them for the image.
    :param pockets: those of them that the mirror has.
    :returns: the files written, relative to the root.
    """
    etc = root / "etc/apt"
    (etc / "sources.list").unlink(missing_ok=True)
    written: dict[str, bytes] = {}
    if sources:
        written["sources.list.d/debian.sources"] = archive(root, sources, pockets, declared.source_type).encode()
    for name, lines in declared.sources.items():
        written[f"sources.list.d/{name}.list"] = "".join(f"{line.strip()}\n" for line in lines).encode()
    for name, pins in declared.preferences.items():
        written[f"preferences.d/{name}"] = preferences_text(pins).encode()
    for name, text in declared.conf.items():
        written[f"apt.conf.d/{name}"] = (text.rstrip("\n") + "\n").encode()
    named = {parse_line(line).signed_by for lines in declared.sources.values() for line in lines}
    for key in map(Path, declared.keys):
        name = key_name(key)
        folder = "keyrings" if f"/etc/apt/keyrings/{name}" in named else "trusted.gpg.d"
        written[f"{folder}/{name}"] = key.read_bytes()
    for name, content in written.items():
        path = etc / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        path.write_bytes(content)
        path.chmod(0o644)
    return [f"etc/apt/{name}" for name in written]


def archive(root: Path, sources: Sequence[Source], pockets: Sequence[str], source_type: bool) -> str:
    """The text of debian.sources: a stanza for each site."""
    keyring = next((f"/{name}" for name in KEYRINGS if (root / name).exists()), "")
    main, rest = sources[0], [source for source in sources[1:] if source.suite in pockets]
    sites: dict[str, list[Source]] = {}
    for source in [main, *rest]:
        kinds = ("deb", "deb-src") if source_type else ("deb",)
        sites.setdefault(source.uri, []).extend(replace(source, kind=kind) for kind in kinds)
    return "\n".join(stanza(group, keyring) for group in sites.values())
