# SPDX-License-Identifier: GPL-3.0-or-later
"""What a suite of a mirror or of a local repository has: its Sources or Packages, got and checked by apt."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from debfleet.common.bootstrap import apt as apt_
from debfleet.common.bootstrap import prepare
from debfleet.common.bootstrap.image import ImageApt
from debfleet.common.bootstrap.mirror import Wish
from debfleet.common.errors import DebfleetError, MissingError
from debfleet.kinds import Entry

INDEX = {"source": "Sources", "binary": "Packages"}
APT_HELPER = "/usr/lib/apt/apt-helper"
FIELDS = ("Package", "Version", "Architecture", "Section", "Size", "Files", "Extra-Source-Only")


@dataclass(frozen=True)
class Repository:
    """Where packages are looked for: a suite of the mirror that is given, else of this machine's own.

    :param mirror: its address, or the folder of a local repository (one that has dists/).
    :param keyring: the key that signs it, where that isn't the archive's.
    :param no_check: take it without a signature.
    """

    suite: str
    components: tuple[str, ...] = ("main",)
    mirror: str = ""
    keyring: str = ""
    no_check: bool = False

    def wish(self) -> Wish:
        """The same in the words of the room that gets indices. Raises DebfleetError for a folder with no repository."""
        mirror = self.mirror
        if mirror and "://" not in mirror:
            folder = Path(mirror).absolute()
            if not (folder / "dists" / self.suite).is_dir():
                raise DebfleetError(
                    f"there is no suite {self.suite} in the local repository",
                    where=str(folder),
                    why=f"it has no dists/{self.suite}",
                    hint="make its index with reprepro, aptly or apt-ftparchive",
                )
            mirror = f"file://{folder}"
        return Wish(
            self.suite,
            self.components,
            mirror=mirror or None,
            keyring=str(Path(self.keyring).absolute()) if self.keyring else None,
            no_check=self.no_check,
        )


def entries(repository: Repository, about: str, architectures: Sequence[str]) -> list[Entry]:
    """The packages of a suite, in every version that it has.

    :param about: source or binary; binary packages are looked for on each of the architectures.
    :raises ResolveError: when the suite, a component or an architecture isn't on the mirror.
    """
    wish = repository.wish()
    found: list[Entry] = []
    for architecture in architectures if about == "binary" else architectures[:1]:
        with tempfile.TemporaryDirectory(prefix="debfleet-") as folder:
            ready = prepare.prepare(
                Path(folder), wish, architecture, ImageApt(), cache=True, index=INDEX[about], pockets=False
            )
            for file in _files(ready.apt, INDEX[about]):
                found += parse(_text(ready.apt, file))
    return found


def _files(apt: apt_.Apt, index: str) -> list[str]:
    argv = ["apt-get", "indextargets", "--format", "$(FILENAME)", f"Created-By: {index}"]
    return list(dict.fromkeys(apt_.ask(apt, argv).stdout.split("\n")[:-1]))


def _text(apt: apt_.Apt, file: str) -> str:
    """An index as text, whatever apt keeps it packed by. Empty where a component has nothing."""
    return apt_.ask(apt, [APT_HELPER, "cat-file", file]).stdout if Path(file).exists() else ""


def parse(text: str) -> Iterator[Entry]:
    """The packages in the text of a Sources or Packages index; not those that are there for others' sake only."""
    try:
        from debian.deb822 import Deb822
    except ImportError as error:
        raise MissingError("python-debian is not installed", hint="pip install python-debian, or make setup") from error
    for stanza in Deb822.iter_paragraphs(text.splitlines(keepends=True), fields=list(FIELDS), use_apt_pkg=False):
        if "Package" not in stanza or "Version" not in stanza or stanza.get("Extra-Source-Only") == "yes":
            continue
        section = stanza.get("Section", "")
        yield Entry(
            stanza["Package"],
            stanza["Version"],
            tuple(stanza.get("Architecture", "any").split()),
            section.rpartition("/")[0] or "main",
            size_of(stanza.get("Size", ""), stanza.get("Files", "")),
        )


def size_of(size: str, files: str) -> int | None:
    """Bytes of a package: its Size, or the sum of its Files (checksum, size and name a line); None without either."""
    if size.strip().isdecimal():
        return int(size)
    words = (line.split() for line in files.splitlines())
    sizes = [int(found[1]) for found in words if len(found) == 3 and found[1].isdecimal()]
    return sum(sizes) if sizes else None


def newest(found: Iterable[Entry], about: str) -> list[Entry]:
    """For each source package, or each binary package and architecture, its newest version; by name."""
    from debian.debian_support import NativeVersion

    best: dict[tuple[str, tuple[str, ...]], Entry] = {}
    for entry in found:
        key = (entry.package, entry.architectures if about == "binary" else ())
        other = best.get(key)
        if other is None or (
            other.version != entry.version and NativeVersion(other.version) < NativeVersion(entry.version)
        ):
            best[key] = entry
    return [best[key] for key in sorted(best)]
