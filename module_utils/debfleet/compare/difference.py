# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between two images, as data and as text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..sizes import shown

SCHEMA_VERSION = 1
SECTIONS = ("packages", "sizes", "files", "layout", "manifest", "boot")


@dataclass(frozen=True)
class Facts:
    """One of the images. Sizes in bytes: of its file, on our disk, as a guest sees it, of the files in its tree.

    :param boots: by firmware, what its proof says of each boot; empty without a proof of these bytes.
    :param build: name, release, architecture, built, debfleet, where its build has told.
    """

    path: str
    sha256: str
    file: int
    allocated: int
    virtual: int
    tree: int
    boots: Mapping[str, dict[str, Any]]
    build: Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """What the second image has otherwise than the first. Values are pairs; None stands where one has none.

    :param packages: versions, by name:architecture.
    :param folders: bytes of the files below each folder that differs, two levels deep.
    :param changed: what differs of each file that both have, as type, mode, owner, content, links, target, device,
        xattrs.
    :param layout: of partitions and filesystems.
    :param manifest: settings by their dotted path; empty where one of the images has no manifest beside it.
    :param content: what differs inside of files, by diffoscope, and in times; None where nobody asked.
    :param unread: what could not be read; such images are never the same.
    """

    a: Facts
    b: Facts
    packages: Mapping[str, list[Any]]
    folders: Mapping[str, list[Any]]
    added: Sequence[str]
    removed: Sequence[str]
    changed: Mapping[str, dict[str, list[Any]]]
    layout: Mapping[str, list[Any]]
    manifest: Mapping[str, list[Any]]
    unread: Sequence[str]
    content: str | None = None

    @property
    def same(self) -> bool:
        """Whether nothing but sizes on the disk and boot times differs."""
        found = (self.packages, self.added, self.removed, self.changed, self.layout, self.manifest, self.unread)
        return not any(found) and self.a.virtual == self.b.virtual

    def to_dict(self) -> dict[str, Any]:
        """As in schemas/image-diff.json."""
        told = {"schema_version": SCHEMA_VERSION, "same": self.same, **asdict(self)}
        return told if self.content is not None else {key: value for key, value in told.items() if key != "content"}

    def to_text(self, details: Collection[str] = ()) -> str:
        """A summary; the details of these sections below it."""
        tellers = {
            "packages": (self._packages, pairs(self.packages)),
            "sizes": (self._sizes, self._folders()),
            "files": (self._files, self._each_file()),
            "layout": (lambda: count(self.layout, "value"), pairs(self.layout)),
            "manifest": (lambda: count(self.manifest, "setting"), pairs(self.manifest)),
            "boot": (self._boot, self._stages()),
        }
        lines = [f"a  {_named(self.a)}", f"b  {_named(self.b)}", ""]
        lines += [f"{name:9} {tellers[name][0]()}" for name in SECTIONS]
        lines += [f"unread    {what}" for what in self.unread]
        for name in SECTIONS:
            rows = list(tellers[name][1]) if name in details else []
            lines += ["", name, *(f"  {row}" for row in rows)] if rows else []
        lines += ["", "content", self.content] if self.content is not None else []
        return "\n".join([*lines, "", "nothing differs" if self.same else "they differ", ""])

    def _packages(self) -> str:
        added = sum(a is None for a, _ in self.packages.values())
        removed = sum(b is None for _, b in self.packages.values())
        return _counts(added, removed, len(self.packages) - added - removed, "of another version")

    def _files(self) -> str:
        return _counts(len(self.added), len(self.removed), len(self.changed), "changed")

    def _sizes(self) -> str:
        both = (("tree", "tree"), ("allocated", "on disk"), ("virtual", "virtual"))
        told = [f"{words} {grown(getattr(self.a, name), getattr(self.b, name))}" for name, words in both]
        return ", ".join(told if self.a.virtual or self.b.virtual else told[:1])

    def _folders(self) -> Iterator[str]:
        for name, (a, b) in sorted(self.folders.items(), key=lambda item: -abs((item[1][1] or 0) - (item[1][0] or 0))):
            yield f"{name:24} {grown(a or 0, b or 0)}"

    def _each_file(self) -> Iterator[str]:
        marks = {
            **dict.fromkeys(self.removed, "-"),
            **dict.fromkeys(self.added, "+"),
            **dict.fromkeys(self.changed, "~"),
        }
        for path in sorted(marks):
            what = "; ".join(f"{name} {_change(name, *both)}" for name, both in self.changed.get(path, {}).items())
            yield f"{marks[path]} {path}" + (f"  {what}" if what else "")

    def _boot(self) -> str:
        firmware = [name for name in self.a.boots if name in self.b.boots]
        told = []
        for name in firmware:
            a, b = self.a.boots[name], self.b.boots[name]
            told.append(f"{name} {a['seconds']:.0f} s → {b['seconds']:.0f} s ({_on(a, b)})")
        return ", ".join(told) or "not both are proven"

    def _stages(self) -> Iterator[str]:
        for name, a in self.a.boots.items():
            b = self.b.boots.get(name, {})
            stages = [stage for stage in a.get("reached", {}) if stage in b.get("reached", {})]
            for stage in stages:
                yield f"{name:5} {stage:11} {a['reached'][stage]:5.0f} s → {b['reached'][stage]:.0f} s"


def _named(facts: Facts) -> str:
    built = facts.build.get("built", "").replace("T", " ").removesuffix("Z")
    parts = [facts.path, f"sha256 {facts.sha256[:16]}…" if facts.sha256 else "", f"built {built}" if built else ""]
    return "  ".join(part for part in parts if part)


def _counts(added: int, removed: int, changed: int, word: str) -> str:
    if not added + removed + changed:
        return "same"
    return f"{added} added, {removed} removed, {changed} {word}"


def count(found: Collection[Any], word: str) -> str:
    """How many things differ, in words."""
    return (
        f"{len(found)} {word}{'s' * (len(found) != 1)} {'differ' if len(found) != 1 else 'differs'}"
        if found
        else "same"
    )


def pairs(found: Mapping[str, list[Any]]) -> Iterator[str]:
    """A line for each pair of values."""
    for name, (a, b) in found.items():
        mark = "+" if a is None else "-" if b is None else "~"
        yield f"{mark} {name}  {_plain(b) if a is None else _plain(a) if b is None else f'{_plain(a)} → {_plain(b)}'}"


def grown(a: int, b: int) -> str:
    """Two sizes in bytes, and by how much the second is larger."""
    if a == b:
        return shown(a)
    return f"{shown(a)} → {shown(b)} ({'+' if b > a else '-'}{shown(abs(b - a))})"


def _change(name: str, a: Any, b: Any) -> str:
    if name == "content":
        return f"{a} → {b} bytes" if a != b else f"of {a} bytes"
    if name == "xattrs":
        return ", ".join(sorted({key for key in {**a, **b} if a.get(key) != b.get(key)}))
    return f"{_plain(a)} → {_plain(b)}"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return str(value)


def _on(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    return a["accelerator"] if a["accelerator"] == b["accelerator"] else f"{a['accelerator']} and {b['accelerator']}"
