# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles of a manifest: where they lie, which phases they join, and in which order.

A role joins a phase by a file tasks/PHASE.yml; meta/phases.yml says what it comes after and before in each:
``{phase: {after: [role…], before: [role…]}}``. meta/schema.json describes its settings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..errors import FindingsError
from ..phases import PHASES, OrderError, did_you_mean, order
from . import load, yaml_text
from .problems import Positions, Problem, UnreadableError

PREFIXES = ("provider_", "plugin_")
IMAGE = "image"
SPELLING = 0.85  # how alike a file's name and a phase are when one is taken for the other, misspelt


class PhasesError(FindingsError):
    """Roles that can't be put in order; `problems` has every reason."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("the roles can't be put in order", why="\n".join(map(str, problems)))


def available(paths: Iterable[Path]) -> dict[str, Path]:
    """Every role of an image in these folders by its name, the first of a name."""
    found: dict[str, Path] = {}
    for path in paths:
        try:
            folders = sorted(path.iterdir())
        except OSError:
            continue
        for folder in folders:
            if (folder.name == IMAGE or folder.name.startswith(PREFIXES)) and folder.is_dir():
                found.setdefault(folder.name, folder.resolve())
    return found


def joins(role: Path) -> list[str]:
    """The phases that a role has tasks for."""
    try:
        files = {path.name for path in (role / "tasks").iterdir()}
    except OSError:
        return []
    return [phase for phase in PHASES if f"{phase}.yml" in files]


def wishes(role: Path) -> tuple[dict[str, dict[str, list[str]]], list[Problem]]:
    """What a role says about its place in each phase, and what is wrong with how it says it."""
    path = role / "meta" / "phases.yml"
    if not path.is_file():
        return {}, []
    positions = Positions(str(path))
    try:
        said = yaml_text.read(load.text_of(path, str(path)), positions)
    except UnreadableError as error:
        return {}, list(error.problems)
    if said is None:
        return {}, []
    if not isinstance(said, dict):
        return {}, [Problem("must be a mapping of phases", "", str(path), 1, 1)]
    good: dict[str, dict[str, list[str]]] = {}
    problems: list[Problem] = []
    for phase, wish in said.items():
        if phase not in PHASES:
            hint = did_you_mean(phase, PHASES).lstrip("; ")
            message = f"{role.name}: there is no phase {phase}"
            problems.append(positions.problem((phase,), message, key=True, allowed=list(PHASES), hint=hint))
        elif phase not in joins(role):
            message = f"{role.name}: there is no tasks/{phase}.yml"
            problems.append(positions.problem((phase,), message, key=True, hint="add it, or leave the phase out"))
        elif wrong := _wrong(wish):
            hint = "write after: [ROLE…] or before: [ROLE…]"
            problems.append(positions.problem((phase,), f"{role.name}: {wrong}", hint=hint))
        else:
            good[phase] = {word: list(others) for word, others in (wish or {}).items()}
    return good, problems


def misspelt(role: Path) -> list[Problem]:
    """Task files whose names are almost those of phases: they would be passed over in silence."""
    names = sorted(path.stem for path in (role / "tasks").glob("*.yml") if path.stem not in PHASES)
    close = {name: get_close_matches(name, PHASES, 1, SPELLING) for name in names}
    return [
        Problem(
            f"{role.name}: {name} is no phase",
            "",
            str(role / "tasks" / f"{name}.yml"),
            1,
            1,
            hint=f"did you mean {near[0]}?",
        )
        for name, near in close.items()
        if near
    ]


def _wrong(wish: Any) -> str:
    if wish is None:
        return ""
    if not isinstance(wish, dict):
        return "a phase has after and before"
    for word, others in wish.items():
        if word not in ("after", "before"):
            return f"unknown word {word}; allowed are after and before"
        if not isinstance(others, list) or not all(isinstance(other, str) for other in others):
            return f"{word} is a list of roles"
    return ""


def phase_plan(roles: Mapping[str, Path], known: Collection[str] = ()) -> dict[str, list[str]]:
    """The roles of each of the eleven phases, in order.

    :param roles: the folders of the roles that are used, by their names.
    :param known: further roles that exist; naming one that isn't used is no error.
    :raises PhasesError: with every unknown phase, word and role, and every circle.
    """
    problems: list[Problem] = []
    wished: dict[str, dict[str, dict[str, list[str]]]] = {}
    for name, folder in roles.items():
        wished[name], wrong = wishes(folder)
        problems += [*wrong, *misspelt(folder)]
    everyone = {*known, *roles, IMAGE}
    joining = {name: joins(folder) for name, folder in roles.items()}
    plan: dict[str, list[str]] = {}
    for phase in PHASES:
        joined = {name: wished[name].get(phase, {}) for name in roles if phase in joining[name]}
        problems += (strangers := _strangers(phase, joined, roles, everyone))
        if strangers:
            continue
        try:
            plan[phase] = order(phase, joined, everyone)
        except OrderError as error:
            problems.append(Problem(str(error), "", _file(roles, joined, str(error)), 1, 1))
    if problems:
        raise PhasesError(problems)
    return plan


def _strangers(
    phase: str, joined: Mapping[str, Mapping[str, list[str]]], roles: Mapping[str, Path], known: Collection[str]
) -> list[Problem]:
    """Roles named in a wish that don't exist."""
    found = []
    for name, wish in joined.items():
        for word, others in wish.items():
            for other in others:
                if other not in known:
                    message = f"{name}: {phase}: {word}: there is no role {other}"
                    hint = did_you_mean(other, known).lstrip("; ")
                    found.append(Problem(message, "", str(roles[name] / "meta" / "phases.yml"), 1, 1, hint=hint))
    return found


def _file(roles: Mapping[str, Path], joined: Iterable[str], said: str) -> str:
    """The file of the first role that a circle goes through."""
    named = [name for name in joined if name in said]
    return str(roles[named[0]] / "meta" / "phases.yml") if named else ""
