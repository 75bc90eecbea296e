# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes of the final results: by run, by suite and architecture, by package. They follow each result as it comes.

An index is a folder of empty files, a row a file, whose name is the row. So a row is written at once and by itself,
whoever writes others at that moment, a second time without a change; and reading an index is listing it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from typing import Any
from urllib.parse import quote, unquote

from debfleet.common.errors import DebfleetError

from .paths import Place, final_of
from .result import Result
from .store import Store

TOP = ".index"
END = ".row"
LONGEST = 200  # characters of a row in one name; a longer row goes on in a folder
MORE = "-"


@dataclass(frozen=True)
class Row:
    """What an index knows of a final result. `signature` is that of its failure; seconds are rounded."""

    run: str
    kind: str
    suite: str
    arch: str
    package: str
    version: str
    outcome: str
    stage: str
    category: str
    signature: str
    attempt: int
    seconds: int
    peak_memory: int
    finished: str

    @classmethod
    def of(cls, result: Result) -> Row:
        """That of a final result."""
        failed = result.failure
        return cls(
            **vars(result.place),
            outcome=result.outcome,
            stage=failed.stage if failed else "",
            category=failed.category if failed else "",
            signature=failed.signature if failed else "",
            attempt=result.attempt,
            seconds=round(result.seconds),
            peak_memory=result.peak_memory or 0,
            finished=result.finished,
        )

    @property
    def place(self) -> Place:
        """Where the result is."""
        return Place(self.run, self.kind, self.suite, self.arch, self.package, self.version)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        said = {"class" if name == "category" else name: value for name, value in vars(self).items()}
        return {name: value for name, value in said.items() if value not in ("", 0)}

    def name(self) -> str:
        """As the name of a file."""
        text = ",".join(quote(str(value), safe="+~:") for value in astuple(self))
        cut = [text[start : start + LONGEST] for start in range(0, len(text), LONGEST)]
        return "/".join([*(f"{piece}{MORE}" for piece in cut[:-1]), f"{cut[-1]}{END}"])

    @classmethod
    def parse(cls, name: str) -> Row:
        """That of such a name. Raises ValueError."""
        pieces = name.removesuffix(END).split("/")
        text = "".join([*(piece.removesuffix(MORE) for piece in pieces[:-1]), pieces[-1]])
        values: list[Any] = [unquote(value) for value in text.split(",")]
        if len(values) != len(fields(cls)) or not name.endswith(END):
            raise ValueError(f"{name!r} is no row of an index")
        said = {one.name: value for one, value in zip(fields(cls), values, strict=True)}
        return cls(**{**said, **{one: int(said[one]) for one in ("attempt", "seconds", "peak_memory")}})


def keys(row: Row) -> tuple[str, ...]:
    """Where a row is, in each index."""
    name = row.name()
    return (
        f"{TOP}/run/{row.run}/{name}",
        f"{TOP}/suite/{row.suite}/{row.arch}/{name}",
        f"{TOP}/package/{row.package}/{name}",
    )


def add(store: Store, result: Result) -> None:
    """Write the rows of a final result."""
    for key in keys(Row.of(result)):
        store.put(key, b"")


def rows(store: Store, run: str = "", package: str = "", suite: str = "", arch: str = "") -> Iterator[Row]:
    """The rows of a run, of a package, of a suite (and architecture), or of all; where several are named, those that
    fit each.
    """
    if run:
        folder = f"run/{run}/"
    elif package:
        folder = f"package/{package}/"
    elif suite:
        folder = f"suite/{suite}/{arch}/" if arch else f"suite/{suite}/"
    else:
        folder = "run/"
    wanted = {"run": run, "package": package, "suite": suite, "arch": arch}
    for _, row in listed(store, f"{TOP}/{folder}"):
        if all(getattr(row, name) == value for name, value in wanted.items() if value):
            yield row


def listed(store: Store, folder: str) -> Iterator[tuple[str, Row]]:
    """The rows below a folder of the indexes, with their keys. Raises DebfleetError for what is none."""
    depth = {f"{TOP}/run": 3, f"{TOP}/package": 3, f"{TOP}/suite": 4}
    for entry in store.files(folder):
        names = entry.key.split("/")
        try:
            yield entry.key, Row.parse("/".join(names[depth["/".join(names[:2])] :]))
        except (KeyError, ValueError) as error:
            raise DebfleetError(
                "an index has what is no row",
                where=entry.key,
                hint="debfleet results index makes them anew",
            ) from error


@dataclass(frozen=True)
class Rebuilt:
    """What making the indexes anew did: results seen, rows added and deleted."""

    results: int
    added: int
    deleted: int


def rebuild(store: Store) -> Rebuilt:
    """Make the indexes right by what the store has. Results may come in meanwhile: they bring their own rows.

    What is there is listed first: a row of a result that is committed later is none of those that could be deleted.
    """
    before = {entry.key for entry in store.files(f"{TOP}/")}
    right: set[str] = set()
    results = 0
    for entry in store.files():
        if final_of(entry.key) is None:
            continue
        result = Result.from_bytes(store.get(entry.key), entry.key)
        results += 1
        right |= set(keys(Row.of(result)))
    for key in sorted(right - before):
        store.put(key, b"")
    store.delete(sorted(before - right))
    return Rebuilt(results, len(right - before), len(before - right))
