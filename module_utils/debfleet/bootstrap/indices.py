# SPDX-License-Identifier: GPL-3.0-or-later
"""The package indices of a build: got from the mirror once, and what isn't there named in the manifest's words.

apt itself is the only one that talks to mirrors. What it got is read from its lists; what it did not get, and why, from
what it said.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from .. import journal
from ..errors import FindingsError
from . import apt as apt_
from .apt import Apt
from .mirror import Mirrors, hidden
from .outline import outline
from .sources import Source

SUITES = ("oldstable", "stable", "testing", "unstable", "experimental", "bookworm", "trixie", "forky", "sid")  # likely
TARGETS = "$(REPO_URI)|$(RELEASE)|$(CODENAME)|$(COMPONENT)|$(IDENTIFIER)|$(FILENAME)"
KINDS = {"Packages": "deb", "Sources": "deb-src"}  # the entry of apt's sources that brings each index
TRIES = 3
PAUSE = 5.0  # seconds between tries where the mirror is being synchronised
SYNC = ("Hash Sum mismatch", "File has unexpected size", "Mirror sync in progress", "Writing more data than expected")


@dataclass(frozen=True)
class Problem:
    """Something that the manifest asks for and isn't there: what, why, and what to do, in words."""

    what: str
    why: str = ""
    hint: str = ""
    path: str = ""  # of the key in the manifest


class ResolveError(FindingsError):
    """What the manifest asks for isn't on the mirror. `problems` has each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = []
        for problem in problems:
            line = problem.what + (f": {problem.why}" if problem.why else "")
            lines.append(line + (f" ({problem.hint})" if problem.hint else ""))
        one = len(problems) == 1
        super().__init__(
            "one thing that the manifest asks for is not there" if one
            else f"{len(problems)} things that the manifest asks for are not there",
            where=", ".join(dict.fromkeys(problem.path for problem in problems if problem.path)),
            why="\n".join(lines),
        )  # fmt: skip


@dataclass(frozen=True)
class Indices:
    """What the mirror has: apt set up with the sources that are there, the suite's codename, and its pockets."""

    apt: Apt
    codename: str
    pockets: tuple[str, ...]


def get(apt: Apt, mirrors: Mirrors, extra: Sequence[Source] = (), index: str = "Packages") -> Indices:
    """Get the indices of a build's sources.

    :param extra: the manifest's further repositories; each must be there.
    :param index: what is got: Packages, or Sources.
    :returns: with a pocket where the mirror has it.
    :raises ResolveError: naming every suite, component and architecture that isn't there.
    """
    candidates = [mirrors.needed, *(source for pocket in mirrors.pockets for source in pocket), *extra]
    asked = replace(apt, sources=tuple(replace(copied(source), kind=KINDS[index]).line() for source in candidates))
    for line in (f"asking for {hidden(line)}" for line in asked.sources):
        journal.log(line)
    found: dict[tuple[str, str, str], str] = {}
    said = ""
    for left in reversed(range(TRIES)):
        done = apt_.update(asked)
        said = f"{done.stdout}\n{done.stderr}"
        found = _found(asked, index)
        # A pocket that isn't there is no reason to try again; one whose index fails its hash is.
        if done.returncode == 0 or not left or not any(word in said for word in SYNC):
            break
        journal.tell(f"the mirror is being synchronised: trying again in {PAUSE:.0f} s")
        time.sleep(PAUSE)
    used, pockets = [mirrors.needed], []
    for pocket in mirrors.pockets:
        for source in pocket:
            if _has(source, found):
                used.append(source)
                pockets.append(source.suite)
                break
            journal.log(f"the mirror gives no {source.suite}: {explain(source, asked, said)[0].what}")
    problems = [
        problem if source is mirrors.needed else replace(problem, path="packages.sources")
        for source in (mirrors.needed, *extra)
        for component in source.components or ("",)
        if _key(source, component) not in found
        for problem in explain(source, asked, said, component)
    ]
    if problems:
        raise ResolveError(_once(problems))
    used += extra
    codename = next(name for key, name in found.items() if key[:2] == _key(mirrors.needed, "")[:2])
    ready = replace(asked, sources=tuple(replace(copied(source), kind=KINDS[index]).line() for source in used))
    ready.save()
    apt_.lay_out(ready)
    return Indices(ready, codename or mirrors.needed.suite, tuple(pockets))


def copied(source: Source) -> Source:
    """A source as the build uses it: what lies in a folder of this machine is copied, for dpkg sees only the tree."""
    return replace(source, uri=re.sub(r"^(file|copy):/+", "copy:/", source.uri), kind="deb")


def _once(problems: Iterable[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))


def _key(source: Source, component: str) -> tuple[str, str, str]:
    return copied(source).uri.rstrip("/"), source.suite, component


def _has(source: Source, found: dict[tuple[str, str, str], str]) -> bool:
    """A pocket is there when any of its components is: it may lack one that the suite has."""
    return any(_key(source, component) in found for component in source.components)


def _found(apt: Apt, index: str) -> dict[tuple[str, str, str], str]:
    """For each index that was got (address, suite, component): the codename of its suite."""
    found = {}
    options = outline(apt.folder / "lists", apt.folder / "outline")
    for line in apt_.ask(apt, ["apt-get", *options, "indextargets", "--format", TARGETS]).stdout.splitlines():
        uri, release, codename, component, identifier, filename = line.split("|")
        if identifier == index and Path(filename).exists():
            flat = release.endswith("/")
            key = (uri.rstrip("/"), release, "" if flat else component)
            found[key] = "" if codename.startswith("$(") else codename
    return found


def release_fields(apt: Apt, source: Source) -> dict[str, str]:
    """The fields of a suite's Release file, as apt got it. Empty where it got none."""
    base = re.sub(r"^\w+:/*", "", f"{copied(source).uri.rstrip('/')}/dists/{source.suite}".replace("//dists", "/dists"))
    base = re.sub(r"^[^/]*@", "", base).replace("_", "%5f").replace("/", "_")
    for name in (f"{base}_InRelease", f"{base}_Release"):
        for prefix in ("", "_"):
            path = apt.folder / "lists" / f"{prefix}{name}"
            if path.exists():
                text = path.read_text(encoding="utf-8", errors="replace")
                return dict(re.findall(r"^([A-Z][A-Za-z-]*): (.*)$", text, re.MULTILINE))
    return {}


def explain(source: Source, apt: Apt, said: str, component: str = "") -> list[Problem]:
    """Why a suite, or one of its components, was not got: from its Release file, and from what apt said."""
    where = f"{source.suite} of {hidden(source.uri)}"
    fields = release_fields(apt, source)
    about = [line for line in _joined(said) if _about(line, source)]
    why = _cleaned(about)
    components = [word.rpartition("/")[2] for word in fields.get("Components", "").split()]
    architectures = fields.get("Architectures", "").split()
    if any(word in line for line in about for word in SYNC):
        return [
            Problem(f"the mirror is being synchronised: an index of {where} fails its hash", why, "try again later")
        ]
    problems = []
    if architectures and apt.architecture not in architectures:
        hint = "it has " + ", ".join(word for word in architectures if word != "all")
        problems.append(Problem(f"{where} has no architecture {apt.architecture}", "", hint, "system.architecture"))
    if components and component and component not in components:
        close = get_close_matches(component, components, 1)
        hint = f"did you mean {close[0]}?" if close else "it has " + ", ".join(components)
        problems.append(Problem(f"{where} has no component {component}", "", hint, "packages.components"))
    return problems or [_not_got(source, where, about, why)]


def _not_got(source: Source, where: str, about: Sequence[str], why: str) -> Problem:
    text = "\n".join(about)
    if "expired" in text or "not valid yet" in text:
        hint = "use another mirror, or set this machine's clock"
        return Problem(f"the Release file of {where} is out of date", why, hint)
    if "does not have a Release file" in text or re.search(r"\b404\b", text):
        hint = "releases that have ended lie on another mirror, to be named in packages.mirror"
        if close := get_close_matches(source.suite, SUITES, 1, 0.7):
            hint = f"did you mean {close[0]}? {hint}"
        return Problem(
            f"the suite {source.suite} is not on the mirror {hidden(source.uri)}", why, hint, "system.release"
        )
    if "not signed" in text or "NO_PUBKEY" in text or "public key" in text:
        hint = "name the archive's keyring in bootstrapper.keyring, or its key in packages.trusted-keys"
        return Problem(f"{where} is not signed by a key that is trusted", why, hint)
    return Problem(f"could not get {where}", why, "is the mirror reachable from here?", "packages.mirror")


def _about(line: str, source: Source) -> bool:
    """Whether a line of apt's is about this suite."""
    uri = re.escape(copied(source).uri.rstrip("/").partition("@")[2] or copied(source).uri.rstrip("/"))
    suite = re.escape(source.suite)
    return bool(re.search(rf"{uri}/?(?: |/dists/){suite}[ /']", line))


def _joined(said: str) -> list[str]:
    """apt's lines, each with the first of the indented ones below it, which says why."""
    lines: list[str] = []
    reason = False
    for line in said.splitlines():
        if not line.startswith(" "):
            lines.append(line)
            reason = line.startswith("Err:")
        elif reason:
            lines[-1] += f": {line.strip()}"
            reason = False
    return lines


def _cleaned(lines: Sequence[str]) -> str:
    """apt's errors and warnings, else what it could not get, without repetition and without its marks."""
    chosen = [line for line in lines if re.match(r"(E|W): ", line)] or [
        line for line in lines if line.startswith("Err:")
    ]
    texts = [re.sub(r"^(E|W|Err:\d+)(: ?| )", "", line) for line in chosen]
    return hidden("; ".join(dict.fromkeys(texts)))
