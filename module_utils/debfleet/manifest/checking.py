# SPDX-License-Identifier: GPL-3.0-or-later
"""From a file to the canonical manifest, or to everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import epoch
from ..errors import DebfleetError
from . import built, canonical, extends, files, names, rules, secrets, validate
from . import roles as found_roles
from . import schema as schemas
from .canonical import Manifest
from .legacy import translate
from .load import Loaded
from .problems import Keys, Problem, UnreadableError

SHORTEST = 4  # characters of a secret that is looked for in every message; a shorter one is masked where it stands


@dataclass(frozen=True)
class Checked:
    """What became of a manifest. `manifest` is None when there are errors.

    `secrets` are the strings that must be masked; `plain` those that a role needs as they are, by their dotted path;
    `stable` each one's hash with a salt that never changes, by its keys; `files` are the builder's that it names;
    `layers` the manifests that it is made of, itself first;
    `not_built` names what is declared and has no role, or no code, yet; `roles` are the folders of the roles found.
    """

    manifest: Manifest | None
    errors: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    plain: Mapping[str, str] = field(default_factory=dict, repr=False)
    stable: Mapping[Keys, str] = field(default_factory=dict, repr=False)
    files: tuple[Path, ...] = ()
    layers: tuple[Path, ...] = ()
    not_built: tuple[str, ...] = ()
    roles: Mapping[str, Path] = field(default_factory=dict)
    phases: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As ``manifest check --json`` prints it."""
        return {
            "errors": [problem.to_dict() for problem in self.errors],
            "notices": [problem.to_dict() for problem in self.notices],
        }


def check(
    path: str | Path,
    *,
    role_paths: Sequence[Path],
    schema_dir: Path,
    now: datetime | None = None,
    decrypt: Callable[[str], str] | None = None,
) -> Checked:
    """Check a manifest whole, and bring it to its canonical form. Nothing is touched; no file is written.

    :param role_paths: folders with roles, looked at after the manifest's own plugin_paths.
    :param schema_dir: the folder of manifest.json, with providers/ and plugins/ for those without a role.
    :param now: the time that names speak of.
    :param decrypt: opens what ansible-vault sealed; without it such a value is a secret that is not checked.
    """
    path = Path(path)
    try:
        loaded = extends.load(path, decrypt=decrypt)
    except UnreadableError as error:
        return Checked(None, error.problems)
    return _Check(loaded, list(role_paths), schema_dir, names.moment(now)).checked()


class _Check:
    """One check: each step works on what the steps before left, and leaves alone what they found wrong."""

    def __init__(self, loaded: Loaded, role_paths: list[Path], schema_dir: Path, now: datetime) -> None:
        self.data, self.positions, self.layers = loaded.data, loaded.positions, loaded.files
        self.role_paths, self.schema_dir, self.now = role_paths, schema_dir, now
        self.errors: list[Problem] = []
        self.notices: list[Problem] = []
        self.bad: set[Keys] = set()
        self.not_built: list[str] = []
        self.roles: dict[str, Path] = {}
        self.known: set[str] = set()

    def add(self, problems: Sequence[Problem]) -> None:
        self.errors += problems

    def mark(self, problems: Sequence[Problem]) -> None:
        """Add problems, and leave what they are about alone from here on."""
        self.errors += problems
        self.bad |= {problem.keys for problem in problems}

    def checked(self) -> Checked:
        notices, errors = translate(self.data, self.positions)
        self.notices += notices
        self.add(errors)
        schema = self.schema()
        hidden = secrets.secret_keys(schema, self.data)
        self.positions.is_secret = lambda keys: keys in hidden
        found = validate.validate(self.data, schema, self.positions)
        self.mark(found)
        self.bad -= validate.prune(self.data, schema, self.bad)
        data: dict[str, Any] = schemas.filled(schema, self.data)
        canonical.complete(data)
        self.mark(names.fill(data, schema, self.positions, self.now, self.bad))
        self.mark(validate.revalidate(data, schema, self.positions, self.bad))
        view = rules.View(data, frozenset(self.bad), self.positions)
        self.add(rules.broken(view))
        self.mark(files.resolve(data, schema, self.positions, self.bad))
        data["reproducible"] = data["reproducible"] is True or bool(os.environ.get(epoch.NAME))
        mine = secrets.take(data, schema, self.positions, self.bad)
        self.add(mine.problems)
        self.notices += self.sealed()
        data["extends"] = None
        phases = self.phases()
        masks = sorted({text for text in mine.strings if len(text) >= SHORTEST}, key=len, reverse=True)
        errors = _sorted([problem.masked(masks) for problem in self.errors])
        notices = _sorted([problem.masked(masks) for problem in self.notices])
        strings = tuple(dict.fromkeys(mine.strings))
        if errors:
            return Checked(None, tuple(errors), tuple(notices), strings, roles=self.roles)
        notices = _sorted([*notices, *rules.warnings(view)])
        missing = (*self.not_built, *built.not_built(data))
        named = tuple(files.named(data, schema))
        manifest = Manifest.of(data)
        return Checked(
            manifest,
            (),
            tuple(notices),
            strings,
            mine.plain,
            mine.stable,
            named,
            self.layers,
            missing,
            self.roles,
            phases,
        )

    def schema(self) -> schemas.Schema:
        """Find the roles and merge their schemas."""
        paths = [*self.plugin_paths(), *self.role_paths]
        there = found_roles.available(paths)
        self.known = {*there, *self.declared("provider"), *self.declared("plugin")}
        if "image" in there:
            self.roles["image"] = there["image"]
        name = self.data.get("provider")
        provider = name.get("name") if isinstance(name, dict) else None
        mine = None
        if isinstance(provider, str):
            mine = self.of_role(("provider", "name"), f"provider_{provider}", there)
        plugins: dict[str, schemas.Schema] = {}
        used = self.data.get("plugins")
        for plugin in used if isinstance(used, dict) else ():
            own = self.of_role(("plugins", plugin), f"plugin_{plugin}", there)
            plugins[plugin] = own if own is not None else {"additionalProperties": True}  # told already
        try:
            return schemas.of_manifest(self.schema_dir, (str(provider), mine) if mine is not None else None, plugins)
        except DebfleetError as error:
            self.add([Problem(f"{error.what} {error.where}".strip(), hint=error.why)])
            return schemas.of_manifest(self.schema_dir, None, dict.fromkeys(plugins, {}))

    def plugin_paths(self) -> list[Path]:
        given = self.data.get("plugin_paths")
        return [
            files.absolute(text, self.positions.folder(("plugin_paths", index)))
            for index, text in enumerate(given if isinstance(given, list) else ())
            if isinstance(text, str) and "\0" not in text
        ]

    def declared(self, kind: str) -> set[str]:
        """The roles that have a schema in schemas/ and may not be built yet."""
        return {f"{kind}_{path.stem}" for path in (self.schema_dir / f"{kind}s").glob("*.json")}

    def of_role(self, keys: Keys, role: str, there: Mapping[str, Path]) -> schemas.Schema | None:
        """The schema of a provider or plugin; None, and an error, for one that nobody knows."""
        kind, _, name = role.partition("_")
        folder = there.get(role)
        declared = self.schema_dir / f"{kind}s" / f"{name}.json"
        if folder and (found_roles.joins(folder) or found_roles.misspelt(folder)):
            self.roles[role] = folder
        elif role in self.known:
            self.not_built.append(role)
        for path in ([folder / "meta" / "schema.json"] if folder else []) + [declared]:
            if role in self.known and path.is_file():
                try:
                    schema = schemas.read(path) if path == declared else validate.read_schema(path)
                    if reason := schema.get("x-left-out"):
                        self.notices.append(self.positions.problem(keys, f"{name} is left out", key=True, hint=reason))
                    return schema
                except DebfleetError as error:
                    self.add([Problem(error.what, "", error.where, hint=error.why)])
                    return {}
        if folder:
            return {"type": "object", "additionalProperties": False}
        words = sorted(one.removeprefix(f"{kind}_") for one in self.known if one.startswith(f"{kind}_"))
        shown = name if kind == "provider" else None
        self.add([
            self.positions.problem(keys, f"there is no {kind} {name}", key=kind == "plugin", value=shown, allowed=words,
                                   hint=validate.close(name, words)),
        ])  # fmt: skip
        self.bad.add(keys)
        return None

    def sealed(self) -> list[Problem]:
        return [
            self.positions.problem(keys, "is sealed by ansible-vault and was not checked")
            for keys in sorted(self.positions.sealed, key=str)
            if self.positions.is_sealed(keys)
        ]

    def phases(self) -> dict[str, list[str]]:
        try:
            return found_roles.phase_plan(self.roles, self.known)
        except found_roles.PhasesError as error:
            self.add(error.problems)
            return {}


def _sorted(problems: list[Problem]) -> list[Problem]:
    """By file and line, each once."""
    unique = {(p.file, p.path, p.line, p.column, p.message): p for p in problems}
    return sorted(unique.values(), key=lambda p: (p.file, p.line, p.column, p.path))
