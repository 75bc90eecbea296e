# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of a root tree, from dpkg's own status and their copyright files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import epoch

SCHEMA_VERSION = 1
STATUS = "var/lib/dpkg/status"
DOC = "usr/share/doc"
INSTALLED = "installed"
COPYRIGHT_FORMAT = "copyright-format/1"  # of machine-readable copyright files
LARGEST = 4 * 1024**2  # bytes of a copyright file that are read at most

# Debian's short names that SPDX calls otherwise.
SPDX = {
    "expat": "MIT",
    "mit": "MIT",
    "x11": "X11",
    "zlib": "Zlib",
    "isc": "ISC",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "apache-2": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "artistic-2.0": "Artistic-2.0",
    "cc0": "CC0-1.0",
    "cc0-1.0": "CC0-1.0",
    "mpl-1.1": "MPL-1.1",
    "mpl-2.0": "MPL-2.0",
    "python-2.0": "Python-2.0",
    "psf-2": "PSF-2.0",
    "unicode": "Unicode-DFS-2016",
    "curl": "curl",
    "openssl": "OpenSSL",
}
GNU = re.compile(r"(A?GPL|LGPL|GFDL)-(\d(?:\.\d)?)(\+?)", re.IGNORECASE)


@dataclass(frozen=True)
class Package:
    """An installed binary package. `installed_size` is in bytes; `licences` are SPDX's names where there is one."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    section: str
    priority: str
    installed_size: int
    homepage: str
    maintainer: str
    summary: str
    licences: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As in schemas/packages.json."""
        return {**vars(self), "licences": list(self.licences)}


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """The paragraphs of a Debian control file: field to value, with its further lines."""
    for paragraph in re.split(r"\n(?:[ \t]*\n)+", text.strip()):
        fields: dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if line.startswith((" ", "\t")):
                fields[name] = f"{fields.get(name, '')}\n{line.strip()}"
            elif not line.startswith("#"):
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if fields:
            yield fields


def installed(tree: Path) -> list[Package]:
    """The installed packages of a root tree, by name and architecture."""
    text = (tree / STATUS).read_text(encoding="utf-8", errors="replace")
    found = [_package(fields, tree) for fields in stanzas(text) if fields.get("Status", "").split()[2:] == [INSTALLED]]
    return sorted(found, key=lambda package: (package.name, package.architecture))


def _package(fields: dict[str, str], tree: Path) -> Package:
    name, version = fields["Package"], fields.get("Version", "")
    source, _, rest = fields.get("Source", name).partition(" ")
    return Package(
        name=name,
        version=version,
        architecture=fields.get("Architecture", ""),
        source=source,
        source_version=rest.strip("()") or version,
        section=fields.get("Section", ""),
        priority=fields.get("Priority", ""),
        installed_size=int(fields.get("Installed-Size") or 0) * 1024,
        homepage=fields.get("Homepage", ""),
        maintainer=fields.get("Maintainer", ""),
        summary=fields.get("Description", "").partition("\n")[0],
        licences=licences(tree, name),
    )


def licences(tree: Path, package: str) -> tuple[str, ...]:
    """The licences that a package's machine-readable copyright file names; none where it has no such file."""
    path = tree / DOC / package / "copyright"
    folder = tree / DOC / package
    if folder.is_symlink():  # the documentation of another package of the same source
        path = tree / DOC / folder.readlink().name / "copyright"
    try:
        if path.is_symlink() or not path.is_file():
            return ()
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(LARGEST)
    except OSError:
        return ()
    if COPYRIGHT_FORMAT not in text.partition("\n\n")[0]:
        return ()
    names: set[str] = set()
    for line in re.findall(r"(?m)^License:[ \t]*(\S.*)$", text):
        names.update(
            part for word in re.split(r"(?:^|\s+)(?:or|and)\s+|,\s*|\s*\|\s*", line.strip()) if (part := spdx(word))
        )
    return tuple(sorted(names))


def spdx(name: str) -> str:
    """What SPDX calls a licence of Debian's; the same name where SPDX has none."""
    word = name.strip().rstrip(",.;")
    if gnu := GNU.fullmatch(word):
        version = gnu[2] if "." in gnu[2] else f"{gnu[2]}.0"
        number = {"LGPL": {"2.0": "2.0", "2.1": "2.1"}, "GFDL": {}}.get(gnu[1].upper(), {}).get(version, version)
        return f"{gnu[1].upper()}-{number}-{'or-later' if gnu[3] else 'only'}"
    return SPDX.get(word.lower(), word)


def listing(name: str, release: str, architecture: str, packages: list[Package]) -> dict[str, Any]:
    """packages.json."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "release": release,
        "architecture": architecture,
        **({"source_date_epoch": int(told)} if (told := os.environ.get(epoch.NAME, "")).isdecimal() else {}),
        "packages": [package.to_dict() for package in packages],
    }
