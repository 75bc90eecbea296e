# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that an image will hold, resolved against the mirror before anything is made.

apt does it, on a tree that has nothing: so dependencies, pins, versions and releases are what they will be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ..run import CommandError, run
from . import apt as apt_
from . import nearby, status
from .apt import Apt, is_file
from .indices import Problem, ResolveError
from .variant import Tree, base_set

INST = re.compile(r"^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) (.*?)\[([^\]]+)\]\)")
MISSING = (
    re.compile(r"^E: Unable to locate package (?P<name>\S+)$"),
    re.compile(r"^E: Package '(?P<name>[^']+)' has no installation candidate$"),
    re.compile(r"^E: Couldn't find any package by (?:glob|regex) '(?P<name>[^']+)'$"),
)
VERSION = re.compile(r"^E: Version '(?P<version>[^']+)' for '(?P<name>[^']+)' was not found$")
RELEASE = re.compile(r"^E: Release '(?P<release>[^']+)' for '(?P<name>[^']+)' was not found$")
UNMET = re.compile(r"^ (?P<name>\S+) : (?P<why>(?:Pre-)?Depends: .*|Conflicts: .*|Breaks: .*)$")
LIKENESS = 0.75


@dataclass(frozen=True)
class Package:
    """A package that will be in the image. Sizes in bytes."""

    name: str
    version: str
    architecture: str
    download_size: int
    installed_size: int


def resolve(apt: Apt, tree: Tree, wanted: Mapping[str, Sequence[str]], *, standard: bool = False) -> list[Package]:
    """Every package that will be in the image, by name.

    :param apt: with the indices got.
    :param tree: the tree that will be bootstrapped; its include is resolved too.
    :param wanted: packages to install, by the path of the manifest's key that names them.
    :raises ResolveError: naming each package, version and release that isn't there, all at once.
    """
    asked = {"bootstrapper.include_packages": list(tree.include), **wanted}
    problems = _files(asked)
    bad = {problem.path for problem in problems}
    kept = {
        f"{path}[{number}]": package
        for path, packages in asked.items()
        for number, package in enumerate(packages)
        if f"{path}[{number}]" not in bad
    }
    base = base_set(tree) + ([apt_.standard_pattern(apt)] if standard else [])
    asker = nearby.near(apt, tree, list(kept.values()), standard=standard) or apt
    done = apt_.ask(asker, ["apt-get", "install", "-s", *base, *_unique(kept.values())], check=False)
    if done.returncode and asker is not apt:  # what is wrong with it, all lists tell
        asker, done = apt, apt_.ask(apt, done.argv, check=False)
    if done.returncode:
        found = unknown(done.stderr, kept, lambda: _names(apt))
        problems += found
        kept = {path: package for path, package in kept.items() if path not in {problem.path for problem in found}}
        if found:  # with those gone, apt gets as far as the dependencies of the others
            done = apt_.ask(apt, ["apt-get", "install", "-s", *base, *_unique(kept.values())], check=False)
        if done.returncode:
            problems += unmet(f"{done.stdout}\n{done.stderr}")
    if problems:
        raise ResolveError(problems)
    return _described(asker, done.stdout, [package for package in kept.values() if is_file(package)])


def asked_words(apt: Apt, tree: Tree, wanted: Mapping[str, Sequence[str]], *, standard: bool = False) -> list[str]:
    """All that apt-get install is told when these are resolved."""
    packages = [package for packages in wanted.values() for package in packages]
    return [*base_set(tree), *tree.include, *packages, *([apt_.standard_pattern(apt)] if standard else [])]


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _files(asked: Mapping[str, Sequence[str]]) -> list[Problem]:
    """Local .deb files that aren't there, or aren't packages."""
    problems = []
    for path, packages in asked.items():
        for number, package in enumerate(packages):
            if not is_file(package):
                continue
            key = f"{path}[{number}]"
            if not Path(package).is_file():
                problems.append(Problem(f"there is no file {package}", path=key))
                continue
            try:
                run(["dpkg-deb", "--field", package, "Package"])
            except CommandError as error:
                problems.append(Problem(f"{package} is no Debian package", error.why, path=key))
    return problems


def _names(apt: Apt) -> list[str]:
    return apt_.ask(apt, ["apt-cache", "pkgnames"]).stdout.split()


def unknown(said: str, asked: Mapping[str, str], names: Callable[[], list[str]]) -> list[Problem]:
    """What apt-get said isn't there, in the manifest's words.

    :param said: its errors.
    :param asked: packages as the manifest writes them, by path.
    :param names: gives every name that there is; asked for only when something is unknown.
    """
    known: list[str] | None = None
    problems = []
    for line in said.splitlines():
        match = next((found for pattern in (*MISSING, VERSION, RELEASE) if (found := pattern.match(line))), None)
        if match is None:
            continue
        groups = match.groupdict()
        name = groups["name"]
        paths = [path for path, package in asked.items() if re.split(r"[/=]", package, maxsplit=1)[0] == name]
        if "version" in groups:
            paths = [path for path in paths if asked[path].endswith(f"={groups['version']}")] or paths
            texts = (f"{name} has no version {groups['version']}", "")
        elif "release" in groups:
            paths = [path for path in paths if asked[path].endswith(f"/{groups['release']}")] or paths
            texts = (f"{name} is in no suite {groups['release']}", "packages.sources names further suites")
        else:
            known = known if known is not None else names()
            close = similar(name, known)
            texts = (f"there is no package {name}", f"did you mean {close}?" if close else "")
        problems += [Problem(texts[0], "", texts[1], path) for path in paths or [""]]
    return list(dict.fromkeys(problems))


def similar(name: str, names: Sequence[str]) -> str:
    """The name closest to this one, or nothing."""
    near = [
        other for other in names
        if abs(len(other) - len(name)) <= 4 and (other[:1] == name[:1] or other[1:2] == name[1:2])
    ]  # fmt: skip
    close = get_close_matches(name, near, 1, LIKENESS)
    return close[0] if close else ""


def unmet(said: str) -> list[Problem]:
    """Dependencies that can't be met, from what apt-get said; its last words where it names none."""
    problems = []
    name = ""
    for line in said.splitlines():
        if match := UNMET.match(line):
            name = match["name"]
            problems.append(Problem(f"{name} can't be installed", match["why"].strip()))
        elif name and (more := re.match(r"^\s{4,}((?:Pre-)?Depends: .*|Conflicts: .*|Breaks: .*)$", line)):
            problems.append(Problem(f"{name} can't be installed", more[1].strip()))
        else:
            name = ""
    return problems or [Problem("apt can't put these packages together", status.reasons(said))]


def _described(apt: Apt, said: str, files: Sequence[str]) -> list[Package]:
    """The packages that apt-get would install, with their sizes."""
    chosen = [(match[1], match[2], match[4]) for line in said.splitlines() if (match := INST.match(line))]
    described = _stanzas(run(["dpkg-deb", "--field", file]).stdout + _size_of(file) for file in files)
    missing = [f"{name.partition(':')[0]}:{arch if arch != 'all' else apt.architecture}={version}"
               for name, version, arch in chosen if (name.partition(":")[0], version) not in described]  # fmt: skip
    if missing:
        shown = apt_.ask(apt, ["apt-cache", "show", *missing]).stdout
        described |= _stanzas(shown.split("\n\n"))
    packages = []
    for name, version, arch in chosen:
        fields = described.get((name.partition(":")[0], version), {})
        sizes = int(fields.get("Size", 0)), int(fields.get("Installed-Size", 0)) * 1024
        packages.append(Package(name.partition(":")[0], version, arch, *sizes))
    return sorted(packages, key=lambda package: package.name)


def _size_of(file: str) -> str:
    return f"Size: {Path(file).stat().st_size}\n"


def _stanzas(texts: Iterable[str]) -> dict[tuple[str, str], dict[str, str]]:
    """Stanzas of a Packages index, by name and version."""
    found = {}
    for text in texts:
        fields = dict(re.findall(r"^([A-Za-z-]+): *(.*)$", text, re.MULTILINE))
        if "Package" in fields:
            found[fields["Package"], fields["Version"]] = fields
    return found
