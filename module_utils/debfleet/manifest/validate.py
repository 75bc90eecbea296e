# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest against its schema: every error at once, each in words, with its place and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from ..architectures import names
from ..errors import DebfleetError
from .formats import FORMATS
from .problems import Keys, Positions, Problem, Sealed
from .schema import Schema, part_of, read, walk

TYPES = {
    "string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "array": "a list", "object": "a mapping", "null": "null",
}  # fmt: skip
ALIASES = {
    **names(), "efi": "uefi", "legacy": "bios", "mbr": "msdos", "dos": "msdos", "img": "raw",
    "vpc": "vhd", "syslinux": "extlinux", "grub2": "grub", "libvirt": "kvm", "qemu": "kvm",
}  # fmt: skip
FEW = 60  # so many allowed words are listed
FORMS = ("pattern", "format", "maxLength")
ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
LINES = re.compile(r"[\t\n\r]")


def validate(data: Any, schema: Schema, positions: Positions) -> list[Problem]:
    """Every way in which the data break the schema, in the order of the file."""
    found = list(_odd_texts(data, schema, positions))
    odd = {problem.keys for problem in found}
    for error in _validator(schema).iter_errors(data):
        if tuple(error.absolute_path) not in odd or error.validator not in FORMS:
            found += _problems(error, data, schema, positions)
    return _unique(found)


def revalidate(data: Any, schema: Schema, positions: Positions, bad: set[Keys]) -> list[Problem]:
    """What is wrong with texts once their variables are filled in; before, their form was not looked at."""
    found: list[Problem] = []
    for keys, value, part in walk(schema, data):
        if part.get("x-interpolate") and isinstance(value, str) and keys not in bad:
            for error in _validator(part).iter_errors(value):
                message, allowed, hint = _said(error.validator, error.validator_value, value, part)
                found.append(positions.problem(keys, message, value=value, allowed=allowed, hint=hint))
    return found


def prune(data: Any, schema: Schema, bad: set[Keys]) -> set[Keys]:
    """Remove the keys that no schema knows, so that the rest can be looked at. Returns those that were removed."""
    gone = set()
    for keys in bad:
        above, part = data, schema
        for key in keys[:-1]:
            inner = part.get("items") if isinstance(key, int) else part_of(part, above, key)
            try:
                above, part = above[key], inner if isinstance(inner, dict) else {}
            except (KeyError, IndexError, TypeError):
                above = None
                break
        if keys and isinstance(above, dict) and keys[-1] in above and part_of(part, above, str(keys[-1])) is None:
            del above[keys[-1]]
            gone.add(keys)
    return gone


def read_schema(path: Path) -> Schema:
    """The schema of a role. Raises DebfleetError when it is none."""
    stat = path.stat()
    return _read_schema(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(64)
def _read_schema(path: Path, *_unchanged: int) -> Schema:
    from jsonschema import Draft202012Validator, SchemaError

    schema = read(path)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path))
        raise DebfleetError("this is no JSON Schema", where=str(path), why=f"{where}: {error.message[:200]}") from error
    return schema


def _unique(found: Iterable[Problem]) -> list[Problem]:
    """Without repetitions, by line."""
    by_place = {(p.path, p.message): p for p in found}
    return sorted(by_place.values(), key=lambda problem: (problem.line, problem.column, problem.path))


def _odd_texts(data: Any, schema: Schema, positions: Positions) -> Iterator[Problem]:
    """Characters that nothing of a manifest may hold: they would end a string, a line or a file name early."""
    for keys, value, part in walk(schema, data):
        if keys and isinstance(keys[-1], str) and (ODD.search(keys[-1]) or LINES.search(keys[-1])):
            yield positions.problem(keys, "a key with control characters", key=True)
        if isinstance(value, str) and ODD.search(value):
            yield positions.problem(keys, "control characters, which no text may hold", shown=False)
        elif isinstance(value, str) and LINES.search(value) and not part.get("x-lines"):
            yield positions.problem(keys, "must be one line, without tabs", value=value)


@cache
def _kind() -> Any:
    """JSON Schema's own validator, with a stricter pattern and our formats."""
    from jsonschema import Draft202012Validator, FormatChecker, ValidationError
    from jsonschema.validators import extend

    def pattern(_validator: Any, wanted: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
        """A `$` at the end means the end, not a line end before it."""
        strict = wanted[:-1] + r"\Z" if wanted.endswith("$") else wanted
        if isinstance(instance, str) and not re.search(strict, instance):
            yield ValidationError("pattern")

    checker = FormatChecker(formats=())
    for name, one in FORMATS.items():
        checker.checks(name)(lambda value, ok=one.ok: not isinstance(value, str) or ok(value))
    kind: Any = extend(Draft202012Validator, {"pattern": pattern})  # type: ignore[no-untyped-call]
    return kind, checker


def _validator(schema: Schema) -> Any:
    kind, checker = _kind()
    return kind(schema, format_checker=checker)


def _variable(value: Any, part: Mapping[str, Any]) -> bool:
    return isinstance(value, str) and "{" in value and bool(part.get("x-interpolate"))


def close(word: Any, known: Iterable[Any]) -> str:
    """The closest known word, as a question, or nothing."""
    words = {str(item).lower(): str(item) for item in known}
    if ALIASES.get(str(word).lower()) in words:
        return f"did you mean {words[ALIASES[str(word).lower()]]}?"
    found = get_close_matches(str(word).lower(), list(words), 1, 0.6)
    return f"did you mean {words[found[0]]}?" if found else ""


def words(types: Any) -> str:
    """JSON Schema's types as a reader says them."""
    return " or ".join(TYPES.get(t, str(t)) for t in ([types] if isinstance(types, str) else types))


def elsewhere(name: str, schema: Schema, here: Keys) -> str:
    """Where else a key would be right: another section of the manifest has it."""
    for section, part in schema.get("properties", {}).items():
        if (
            (section,) != here[:1]
            and isinstance(part, dict)
            and name in part.get("properties", {})
            and section != "plugins"
        ):
            return f"{name} belongs to {section}"
    return f"{name} belongs to the top" if here and name in schema.get("properties", {}) else ""


def _sounds_secret(name: str, part: Mapping[str, Any]) -> bool:
    """Whether an unknown key is a misspelt secret."""
    secrets = [
        key for key, value in part.get("properties", {}).items() if isinstance(value, dict) and "x-secret" in value
    ]
    return bool(get_close_matches(name, secrets, 1, 0.5))


def _problems(error: Any, data: Any, schema: Schema, positions: Positions) -> Iterator[Problem]:
    keys: Keys = tuple(error.absolute_path)
    part: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    if isinstance(error.instance, Sealed) or (error.validator in FORMS and _variable(error.instance, part)):
        return
    kind, wanted, value = error.validator, error.validator_value, error.instance
    if list(error.absolute_schema_path)[-2:-1] == ["propertyNames"]:
        allowed = part.get("x-allowed") or wanted
        yield positions.problem((*keys, str(value)), f"{value} is no name for this", key=True, allowed=allowed)
    elif kind in ("additionalProperties", "unevaluatedProperties"):
        names = [name for name in value if part_of({**part, "additionalProperties": None}, value, name) is None]
        if kind == "unevaluatedProperties":
            names = [name for name in names if repr(name) in error.message]
        yield from _unknown(keys, {name: value[name] for name in names}, part, schema, positions)
    elif kind == "required":
        yield from _missing(keys, value, part, positions)
    elif kind == "dependentRequired":
        for first, others in wanted.items():
            for other in others:
                if first in value and other not in value:
                    yield positions.problem((*keys, other), f"{other} is missing; {first} needs it")
    elif kind in ("anyOf", "oneOf") and error.context:
        yield from _closest(error, data, schema, positions)
    else:
        hidden = _holds_secret(part) or positions.secret(keys)
        message, allowed, hint = _said(kind, wanted, value, part)
        if hidden and str(value) in hint:
            hint = "write it in quotes"
        yield positions.problem(keys, message, value=value, shown=not hidden, allowed=allowed, hint=hint)


def _holds_secret(part: Mapping[str, Any]) -> bool:
    return any(word in part for word in ("x-secret", "x-crypted", "x-hidden")) or any(
        isinstance(sub, dict) and _holds_secret(sub) for sub in part.get("properties", {}).values()
    )


def _closest(error: Any, data: Any, schema: Schema, positions: Positions) -> Iterator[Problem]:
    """Of several ways of being right, the errors of the one that fails least and latest."""
    ways: dict[Any, list[Any]] = {}
    for inner in error.context:
        ways.setdefault(inner.schema_path[0], []).append(inner)
    best = min(ways.values(), key=lambda found: (any(e.validator == "type" and not e.path for e in found), len(found)))
    for inner in best:
        yield from _problems(inner, data, schema, positions)


def _unknown(
    keys: Keys, value: Any, part: Mapping[str, Any], schema: Schema, positions: Positions
) -> Iterator[Problem]:
    known = list(part.get("properties", {}))
    for name in value:
        what = "unknown key" if keys else "unknown section"
        hint = close(name, known) or elsewhere(name, schema, keys)
        if keys == ("volume", "partitions"):
            hint = (
                close(name, ("type", "root", "swap")) if "/" not in name[:1] else f"write {name.strip('/') or 'root'}"
            )
            what = "not a mount point:" if "/" in name or not name else what
        yield positions.problem(
            (*keys, name), f"{what} {name}", key=True, value=value[name], shown=not _sounds_secret(name, part),
            allowed=known, hint=hint,
        )  # fmt: skip


def _missing(keys: Keys, value: Any, part: Mapping[str, Any], positions: Positions) -> Iterator[Problem]:
    for name in part["required"]:
        if name not in value:
            about = part.get("properties", {}).get(name, {})
            say = about.get("description", "") if isinstance(about, dict) else ""
            yield positions.problem((*keys, name), f"{name} is missing", key=True, hint=say.split(". ")[0].rstrip("."))


def _said(kind: str, wanted: Any, value: Any, part: Mapping[str, Any]) -> tuple[str, Any, str]:
    """Message, what is allowed, hint."""
    if kind == "type":
        hint = ""
        if wanted == "boolean" and str(value).lower() in ("yes", "no", "on", "off", "y", "n"):
            hint = f"write {'true' if str(value).lower() in ('yes', 'on', 'y') else 'false'}"
        elif "string" in wanted and isinstance(value, (int, float)):
            hint = f'write it in quotes: "{str(value).lower() if isinstance(value, bool) else value}"'
        elif "array" in wanted and isinstance(value, str):
            hint = "write it as a list: [ … ]"
        return f"must be {words(wanted)}", part.get("x-allowed") or part.get("enum") or words(wanted), hint
    if kind == "enum":
        allowed = [word for word in wanted if word is not None]
        hint = close(value, allowed) if isinstance(value, str) else ""
        return ("must be one of those allowed" if allowed else "is not possible here"), allowed, hint
    if kind == "const":
        return f"must be {wanted}", [wanted], ""
    if kind == "pattern":
        return "is not in a form that is allowed", part.get("x-allowed") or wanted, ""
    if kind == "format" and wanted in FORMATS:
        form = FORMATS[wanted]
        few = sorted(form.known()) if 0 < len(form.known()) < FEW else form.allowed
        return f"is no {wanted.replace('-', ' ')} that is allowed", few, close(value, form.known())
    limits = {
        "minItems": ("must have at least {} items", "at least {} items"),
        "maxItems": ("must have at most {} items", "at most {} items"),
        "minLength": ("must have at least {} characters", "at least {} characters"),
        "maxLength": ("must have at most {} characters", "at most {} characters"),
        "minimum": ("must be at least {}", "{} or more"),
        "maximum": ("must be at most {}", "{} or less"),
        "minProperties": ("must have at least {} keys", "at least {} keys"),
        "maxProperties": ("must have at most {} keys", "at most {} keys"),
        "multipleOf": ("must be a multiple of {}", "multiples of {}"),
    }
    if kind in limits:
        message, may = limits[kind]
        return message.format(wanted), may.format(wanted), ""
    if kind == "uniqueItems":
        return "has an item twice", "each item once", ""
    return "breaks the schema's rule " + kind, wanted if isinstance(wanted, (str, int, list)) else None, ""
