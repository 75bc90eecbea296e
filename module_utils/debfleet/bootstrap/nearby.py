# SPDX-License-Identifier: GPL-3.0-or-later
"""apt's lists cut down to few packages, for apt takes as long as there are packages, not as there are wanted ones.

`near` leaves all that what is wanted may need, by any of the alternatives of its dependencies: what apt resolves with
these lists is what it would with the whole ones. `chosen` leaves what was resolved: with nothing else there, later
steps of the build can't install anything else. Of each package there is every version, since apt may be asked for what
a suite has, be it an older one. Release files stay as they are; each index has whole stanzas, in their order.
"""

from __future__ import annotations

import json
import mmap
import re
import shutil
from bisect import bisect_right
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from .apt import Apt, is_file
from .variant import PRIORITIES, REQUIRED, Tree, base_set

NEAR, CHOSEN = "near", "chosen"  # folders in apt's, beside `lists`
NOTE = "chosen.json"  # what was resolved, and for which words
NAME = re.compile(rb"^Package: *(\S+)$", re.MULTILINE)
PROVIDES = re.compile(rb"^Provides: *(.*(?:\n[ \t].*)*)", re.MULTILINE)
RANK = re.compile(rb"^(?:Priority: *(\S+)|Essential: *(yes))$", re.MULTILINE)
NEEDS = re.compile(rb"^(?:Pre-Depends|Depends): *(.*(?:\n[ \t].*)*)", re.MULTILINE)
LIKES = re.compile(rb"^(?:Pre-Depends|Depends|Recommends): *(.*(?:\n[ \t].*)*)", re.MULTILINE)
WORD = re.compile(rb"(?:^|[,|])\s*([^\s,|(:\[]+)")


@dataclass(frozen=True)
class Index:
    """One Packages file: where each package's stanza begins in it, and the package's name."""

    path: Path
    text: bytes | mmap.mmap
    starts: tuple[int, ...]
    names: tuple[bytes, ...]

    @classmethod
    def of(cls, path: Path) -> Index:
        """Look through a file."""
        with path.open("rb") as file:
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
        starts, names = [], []
        for match in NAME.finditer(text):
            at = match.start()
            first = at < 2 or text[at - 2 : at] == b"\n\n"
            starts.append(at if first else text.rfind(b"\n\n", 0, at) + 1)
            names.append(match[1])
        return cls(path, text, tuple(starts), tuple(names))

    def stanza(self, number: int) -> bytes:
        """The text of one package."""
        end = self.text.find(b"\n\n", self.starts[number] + 1)
        return bytes(self.text[self.starts[number] : end if end >= 0 else len(self.text)]).strip(b"\n")

    def name_at(self, at: int) -> bytes:
        """The name of the package whose stanza is at this place of the text."""
        return self.names[bisect_right(self.starts, at) - 1]


@dataclass
class Universe:
    """Every package of some lists, by name: the places of its stanzas, and who provides it."""

    indices: list[Index]
    places: dict[bytes, list[tuple[Index, int]]] = field(default_factory=dict)
    providers: dict[bytes, list[bytes]] = field(default_factory=dict)
    ranks: dict[str, list[bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, lists: Path) -> Universe:
        """Look through a folder of lists."""
        made = cls(_indices(lists))
        for index in made.indices:
            for number, name in enumerate(index.names):
                made.places.setdefault(name, []).append((index, number))
            for match in PROVIDES.finditer(index.text):
                for word in WORD.findall(match[1]):
                    made.providers.setdefault(word, []).append(index.name_at(match.start()))
            for match in RANK.finditer(index.text):
                rank = (match[1] or b"essential").decode()
                made.ranks.setdefault(rank, []).append(index.name_at(match.start()))
        return made

    def reached(self, names: Iterable[bytes], fields: re.Pattern[bytes]) -> set[bytes]:
        """These names, and all that those packages may need, by any alternative and any provider."""
        seen: set[bytes] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            todo += self.providers.get(name, ())
            for index, number in self.places.get(name, ()):
                for found in fields.findall(index.stanza(number)):
                    todo += WORD.findall(found)
        return seen


def near(apt: Apt, tree: Tree, asked: Sequence[str], *, standard: bool = False) -> Apt | None:
    """apt with lists of what these packages may need; None where the whole lists are needed to tell what is meant.

    :param asked: names, ``name/suite``, ``name=version``, as they are asked for beside the tree's own.
    """
    lists = apt.folder / "lists"
    if _packed(lists) or any(is_file(word) for word in asked):
        return None
    universe = Universe.of(lists)
    plain = [word for word in base_set(tree) if not word.startswith("?")]
    names = [re.split("[/=]", word, maxsplit=1)[0].encode() for word in [*plain, *asked]]
    if any(name not in universe.places and name not in universe.providers for name in names):
        return None
    wanted = {"essential", *REQUIRED, *PRIORITIES.get(tree.variant, ()), *(["standard"] if standard else [])}
    names += [name for rank in wanted for name in universe.ranks.get(rank, ())]
    seen = universe.reached(names, LIKES if apt.recommends else NEEDS)
    return _cut(apt, NEAR, universe.indices, seen)


def note(apt: Apt, words: Iterable[str], names: Iterable[str]) -> None:
    """Write down what was resolved: the names of the packages, for these words of apt-get install."""
    shutil.rmtree(apt.folder / CHOSEN, ignore_errors=True)
    apt.folder.mkdir(parents=True, exist_ok=True)
    written = {"words": sorted(set(words)), "packages": sorted(set(names))}
    (apt.folder / NOTE).write_text(json.dumps(written), encoding="utf-8")


def chosen(apt: Apt, words: Iterable[str]) -> Apt:
    """apt with lists of what was resolved; as it is where nothing was, or not for these words."""
    try:
        written = json.loads((apt.folder / NOTE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return apt
    if not set(words) <= {*written["words"], *written["packages"]}:
        return apt
    if (apt.folder / CHOSEN).exists():
        return replace(apt, lists=CHOSEN)
    source = apt.folder / (NEAR if (apt.folder / NEAR).exists() else "lists")
    if _packed(source):
        return apt
    return _cut(apt, CHOSEN, _indices(source), {name.encode() for name in written["packages"]})


def _packed(lists: Path) -> bool:
    """Whether apt keeps these lists compressed."""
    return any("_Packages." in path.name for path in lists.iterdir())


def _indices(lists: Path) -> list[Index]:
    return [Index.of(path) for path in sorted(lists.glob("*_Packages"))]


def _cut(apt: Apt, name: str, indices: Sequence[Index], names: Set[bytes]) -> Apt:
    """Write lists anew, with these packages only."""
    new, folder = apt.folder / f"{name}.new", apt.folder / name
    for old in (new, folder):
        shutil.rmtree(old, ignore_errors=True)
    (new / "partial").mkdir(parents=True)
    for index in indices:
        kept = [index.stanza(number) for number, one in enumerate(index.names) if one in names]
        (new / index.path.name).write_bytes(b"".join(text + b"\n\n" for text in kept))
    for path in (apt.folder / "lists").glob("*Release"):
        shutil.copyfile(path, new / path.name)
    new.rename(folder)
    return replace(apt, lists=name)
