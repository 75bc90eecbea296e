# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages that tools are taken from: their versions in an archive, and their files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import unquote

from ..bootstrap import apt as apt_
from ..bootstrap import nearby, status
from ..bootstrap.apt import Apt
from ..errors import DebfleetError
from ..run import CommandError
from . import table
from .versions import same, source

URI = re.compile(r"^'([^']+)' (\S+) \d+ ?\S*$")
POLICY = re.compile(r"^(\S+):\n  Installed: .*\n  Candidate: (\S+)$", re.MULTILINE)
HELD = "versions-of-the-image"
WANTED = (*table.PACKAGES, *table.PYTHON, *table.PERL_MODULES)


def versions(apt: Apt, names: Sequence[str] = WANTED) -> dict[str, str]:
    """The versions that apt would install of these packages, by name; of those that the archive has.

    :param apt: with the indices got.
    """
    said = apt_.ask(apt, ["apt-cache", "policy", *names]).stdout
    return {name: version for name, version in POLICY.findall(said) if version != "(none)"}


def of_image(apt: Apt) -> dict[str, str]:
    """The versions of an image's packages, by name, as apt takes them: of those that were resolved; where they weren't,
    of those that tools are taken from.

    :param apt: the image's, with the indices got.
    """
    try:
        resolved = json.loads((apt.folder / nearby.NOTE).read_text(encoding="utf-8"))["packages"]
    except FileNotFoundError:
        return versions(apt, [*WANTED, *interpreters(apt)])
    return versions(nearby.chosen(apt, resolved), resolved)


def interpreters(apt: Apt) -> list[str]:
    """The packages of Python's interpreters, whose names have its version."""
    words = apt_.ask(apt, ["apt-cache", "depends", *table.PYTHON], check=False).stdout.split()
    return sorted({word for word in words if fnmatch(word, table.PYTHON_PROGRAMS)})


def hold(apt: Apt, image: Apt, wanted: Mapping[str, str]) -> None:
    """Let apt take the versions that the image has, wherever the archive has these for this machine too.

    The archive's architectures are not always in step. What is built from the same source comes along, since it has to
    be of one version.

    :param wanted: the image's versions, by package.
    """
    have = versions(apt, [*WANTED, *interpreters(apt)])
    apart = {name: wanted[name] for name, version in have.items() if name in wanted and not same(version, wanted[name])}
    if not apart:
        return
    said = apt_.ask(image, ["apt-cache", "show", *(f"{name}={version}" for name, version in apart.items())]).stdout
    pins = {}
    for stanza in said.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Source|Version): (\S+)", stanza, re.MULTILINE))
        if "Package" in fields:
            pins[fields.get("Source", fields["Package"])] = re.escape(source(fields["Version"]))
    text = "\n".join(
        f"Package: src:{name}\nPin: version /^{version}(\\+b[0-9]+)?$/\nPin-Priority: 1001\n"
        for name, version in pins.items()
    )
    (apt.folder / "preferences.d" / HELD).write_text(text, encoding="utf-8")


def get(apt: Apt) -> dict[str, Path]:
    """Get the packages, and all that they depend on. Returns their files by name.

    :raises DebfleetError: with apt's own words.
    """
    words = ["apt-get", "install", "--download-only", "--no-install-recommends", *versions(apt)]
    try:
        uris = apt_.ask(apt, [*words, "--print-uris"]).stdout
        apt_.ask(apt, words)
    except CommandError as error:
        raise DebfleetError("could not get the packages of native tools", why=status.reasons(error.output)) from error
    files = {}
    for match in filter(None, map(URI.match, uris.splitlines())):
        local = re.match(r"(?:file|copy):/*(/.*)", match[1])
        path = apt.folder / "archives" / match[2]
        files[match[2].partition("_")[0]] = path if path.exists() or not local else Path(unquote(local[1]))
    return files


def versions_of(files: dict[str, Path]) -> dict[str, str]:
    """The versions of the packages that tools are taken from, out of the names of their files."""
    taken = (*WANTED, table.PYTHON_PROGRAMS, *table.BESIDE_LIBRARIES.values())
    return {
        name: unquote(path.name.split("_")[1])
        for name, path in files.items()
        if any(fnmatch(name, pattern) for pattern in taken)
    }
