# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks against their schema, and their options against what their kind takes: every error at once, with its line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from debfleet import house, kinds
from debfleet.common.architectures import TABLE
from debfleet.common.architectures import names as architecture_names
from debfleet.common.errors import FindingsError, MissingError

from . import lines
from .task import OLDER, Identity, Task, renamed

SHOWN = 20  # errors that are told in one message
SHORT = 60  # characters of a value in a message


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a task: the file and line, the key (`options.compiler`), and words."""

    file: str
    line: int
    path: str
    message: str

    def text(self) -> str:
        """As a line for the user."""
        return f"{self.file}:{self.line}: {f'{self.path}: ' if self.path else ''}{self.message}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"file": self.file, "line": self.line, "path": self.path, "message": self.message}


@cache
def _schema() -> dict[str, Any]:
    """schemas/task.json."""
    read: dict[str, Any] = json.loads((house.schemas() / "task.json").read_text(encoding="utf-8"))
    return read


@cache
def _validator(kind: str | None) -> Any:
    """What checks a task, or with a kind's name its options. Raises FindingsError for a kind that isn't there."""
    try:
        from jsonschema import Draft202012Validator
    except ImportError as error:
        raise MissingError("jsonschema is not installed", hint="pip install jsonschema, or make setup") from error
    return Draft202012Validator(_schema() if kind is None else kinds.find(kind).schema())


def problems_of(read: Any) -> Iterator[tuple[str, str]]:
    """Everything that is wrong with a task as it was read: the key and the words for each."""
    if isinstance(read, ValueError):
        yield "", f"it is no JSON: {read}"
        return
    task = renamed(read) if isinstance(read, Mapping) else read
    wrong = list(dict.fromkeys(_of_schema(None, task, "")))
    yield from wrong
    if not isinstance(task, Mapping) or any(path in ("kind", "arch", "") for path, _ in wrong):
        return
    if task["arch"] not in TABLE:
        known = architecture_names().get(task["arch"])
        meant = f"Debian calls it {known}" if known else f"those that there are: {', '.join(TABLE)}"
        yield "arch", f"there is no architecture {task['arch']}: {meant}"
    try:
        if not any(path.startswith("options") for path, _ in wrong):
            yield from dict.fromkeys(_of_schema(task["kind"], task.get("options", {}), "options"))
    except FindingsError as error:
        yield "kind", f"{error.what} ({error.hint})"


def _of_schema(kind: str | None, value: Any, above: str) -> Iterator[tuple[str, str]]:
    for error in _validator(kind).iter_errors(value):
        path = above
        for key in error.absolute_path:
            path += f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
        yield path, _words(error)


def _words(error: Any) -> str:
    """An error of jsonschema's in our words."""
    value, allowed = error.instance, error.validator_value
    said = json.dumps(value, ensure_ascii=False, default=str)
    shown = said if len(said) <= SHORT else said[:SHORT] + "…"
    match error.validator:
        case "required":
            missing = [name for name in allowed if name not in value]
            return f"it has no {' and no '.join(missing)}"
        case "additionalProperties" if isinstance(allowed, bool):
            known = error.schema.get("properties", {})
            extra = [f"{name} (today's name is {OLDER[name]})" if name in OLDER else name for name in value]
            unknown = [name for name in extra if name.split()[0] not in known]
            return f"unknown: {', '.join(unknown)}; known are {', '.join(known)}"
        case "enum":
            return f"{shown} is none of {', '.join(map(str, allowed))}"
        case "type":
            return f"{shown} is no {allowed}"
        case "pattern":
            return f"{shown} has not the form {allowed}"
        case _:
            return str(error.message) if len(error.message) < 4 * SHORT else f"{shown}: {error.validator} {allowed}"


def check(text: str, file: str) -> tuple[list[Task], list[Problem]]:
    """The valid tasks of a list, and all that is wrong with it; a task that is there twice is wrong too."""
    tasks, problems = [], []
    first: dict[Identity, int] = {}
    for number, read in lines.decoded(text):
        found = [Problem(file, number, path, message) for path, message in problems_of(read)]
        if not found:
            task = Task.from_dict(renamed(read))
            earlier = first.setdefault(task.identity, number)
            if earlier != number:
                found = [Problem(file, number, "", f"the same task as in line {earlier}: {task.path}")]
            else:
                tasks.append(task)
        problems += found
    return tasks, problems


def read(files: Iterable[str]) -> list[list[Task]]:
    """The tasks of each file. Raises FindingsError with what is wrong with any of them."""
    lists, problems = [], []
    for file in files:
        tasks, wrong = check(lines.text_of(file), file)
        lists.append(tasks)
        problems += wrong
    refuse(problems)
    return lists


def refuse(problems: Sequence[Problem]) -> None:
    """Raise FindingsError when there are problems."""
    if problems:
        texts = [problem.text() for problem in problems[:SHOWN]]
        more = len(problems) - len(texts)
        raise FindingsError(
            "one thing is wrong with the tasks"
            if len(problems) == 1
            else f"{len(problems)} things are wrong with the tasks",
            why="\n".join([*texts, *([f"and {more} more"] if more else [])]),
            hint="schemas/task.json says what a task has; debfleet tasks validate names every error",
        )


def run_name(name: str) -> None:
    """Raise FindingsError when a run can't be called so."""
    for error in _validator(None).evolve(schema=_schema()["properties"]["run"]).iter_errors(name):
        raise FindingsError(f"a run can't be called {name!r}", why=_words(error))


def options(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options, checked against what the kind takes. Raises FindingsError."""
    wrong = [f"{path}: {message}" for path, message in _of_schema(kind, dict(given), "options")]
    if wrong:
        raise FindingsError(f"these are no options of {kind}", why="\n".join(wrong))
    return dict(given)
