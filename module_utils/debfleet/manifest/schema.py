# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of one manifest: the base, with the schemas of its provider and of its plugins merged in.

A role's ``meta/schema.json`` describes its own section: the keys of ``provider`` besides the name, or the settings of
``plugins.NAME``. What it narrows elsewhere stands in its ``$defs.manifest``, a fragment of the whole schema. It may
refer to its own ``#/$defs/…`` and to the base's, ``manifest.json#/$defs/…``.

Keywords of our own: `x-secret` (``hash`` or ``plain``; adds NAME_file, NAME_env and, for hash, NAME-crypted), `x-file`
(file, folder, deb or scratch: a path on the builder), `x-beside` (what lies beside that file counts as well),
`x-interpolate`, `x-lines` (may span lines), `x-ordered` (keeps the order in which it was written), `x-hidden` (is never
shown in a message), `x-left-out` (a plugin of the older tool that won't be built: why, and what to use instead), and
`x-allowed` (the pattern in words).
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import DebfleetError
from .problems import Keys

Schema = dict[str, Any]
BASE = "manifest.json"
DEEPEST = 20
FILE_VARIANT = {
    "description": "A file whose first line is the {name}.", "type": "string", "x-file": "file", "x-variant": True,
    "pattern": r"^[^\x00-\x1f\x7f]+$", "x-allowed": "a path without control characters",
}  # fmt: skip
ENV_VARIANT = {
    "description": "The environment variable that holds the {name}.", "type": "string", "x-variant": True,
    "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "x-allowed": "the name of a variable",
}  # fmt: skip
CRYPTED = {
    "description": "The {name} as crypt(5) has it, as `openssl passwd -6` prints it.", "type": "string",
    "x-crypted": True, "pattern": r"^\$(y|gy|7|2[abxy]|6|5|1|sha1|md5)\$[^:\s\x00-\x1f!*]{8,}$",
    "x-allowed": "a crypt string like $6$salt$…",
}  # fmt: skip


def read(path: Path) -> Schema:
    """A schema file. Raises DebfleetError when it is no JSON object."""
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DebfleetError("could not read a schema", where=str(path), why=str(error)) from error
    if not isinstance(schema, dict):
        raise DebfleetError("a schema is a JSON object", where=str(path))
    return schema


def merged(low: Schema, high: Schema) -> Schema:
    """Two schemas as one: properties merge, what is required adds up, an enum shrinks, for the rest `high` wins."""
    out = dict(low)
    for key, value in high.items():
        mine = out.get(key)
        if key in ("properties", "patternProperties", "$defs") and isinstance(mine, dict):
            out[key] = {**mine, **{k: merged(mine[k], v) if k in mine else v for k, v in value.items()}}
        elif key == "required" and mine:
            out[key] = [*mine, *(word for word in value if word not in mine)]
        elif key == "enum" and mine:
            out[key] = [word for word in mine if word in value]
        elif isinstance(mine, dict) and isinstance(value, dict) and key not in ("default", "const"):
            out[key] = merged(mine, value)
        else:
            out[key] = value
    return out


def inlined(schema: Any, own: Schema, base: Schema, depth: int = 0) -> Any:
    """The schema with each $ref replaced by what it refers to. Raises DebfleetError for one that leads nowhere."""
    if depth > DEEPEST:
        raise DebfleetError("a schema refers to itself")
    if isinstance(schema, list):
        return [inlined(item, own, base, depth + 1) for item in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {key: inlined(value, own, base, depth + 1) for key, value in schema.items() if key not in ("$ref", "$defs")}
    ref = schema.get("$ref")
    if not isinstance(ref, str):
        return rest
    home, _, name = ref.partition("#/$defs/")
    where = {"": own, BASE: base}.get(home, {})
    if name not in where.get("$defs", {}):
        raise DebfleetError(f"a schema refers to {ref}, which is not there")
    home_schema = base if home == BASE else own
    return merged(inlined(home_schema["$defs"][name], home_schema, base, depth + 1), rest)


def with_secrets(schema: Schema) -> Schema:
    """The schema of an object with the variants of each of its secrets; which is given is checked elsewhere."""
    out = dict(schema)
    properties = dict(schema.get("properties", {}))
    required = list(schema.get("required", []))
    for name, part in schema.get("properties", {}).items():
        if not isinstance(part, dict):
            continue
        properties[name] = part = with_secrets(part)
        if "x-secret" not in part:
            continue
        variants = {f"{name}_file": FILE_VARIANT, f"{name}_env": ENV_VARIANT}
        variants |= {f"{name}-crypted": CRYPTED} if part["x-secret"] == "hash" else {}
        for variant, what in variants.items():
            properties.setdefault(variant, {**what, "description": str(what["description"]).format(name=name)})
        if name in required:
            required.remove(name)
            properties[name] = {**part, "x-required": True}
    if properties:
        out["properties"] = properties
    if "required" in out:
        out["required"] = required
    if isinstance(schema.get("items"), dict):
        out["items"] = with_secrets(schema["items"])
    return out


def closed(schema: Any, *, top: bool = False) -> Any:
    """The schema with no room for unknown keys: an object that names keys and is silent on others takes none."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = dict(schema)
    for key in ("properties", "patternProperties"):
        if isinstance(part := schema.get(key), dict):
            out[key] = {name: closed(item) for name, item in part.items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            out[key] = closed(schema[key])
    speaks = "additionalProperties" in schema or "unevaluatedProperties" in schema
    if not speaks and ("properties" in schema or (top and schema.get("type", "object") == "object")):
        branches = any(key in schema for key in ("allOf", "anyOf", "oneOf", "if", "dependentSchemas"))
        out["unevaluatedProperties" if branches else "additionalProperties"] = False
    return out


@lru_cache(8)
def _base(path: Path, _unchanged: int) -> tuple[Schema, Schema]:
    """The base as it is written, and with its references resolved."""
    base = read(path)
    return base, inlined(base, base, base)


def of_manifest(schema_dir: Path, provider: tuple[str, Schema] | None, plugins: Mapping[str, Schema]) -> Schema:
    """The whole schema.

    :param schema_dir: the folder of manifest.json.
    :param provider: name and schema of its provider; with None, any keys are taken for the provider's.
    :param plugins: the schemas of its plugins by their names.
    """
    base, whole = copy.deepcopy(_base(schema_dir / BASE, (schema_dir / BASE).stat().st_mtime_ns))
    properties = whole["properties"]
    fragments = []
    if provider:
        own = closed(inlined(provider[1], provider[1], base))
        part = {key: own[key] for key in ("properties", "required", "description", "dependentRequired") if key in own}
        properties["provider"] = merged(properties["provider"], part)
        fragments.append(provider[1])
    else:
        properties["provider"]["additionalProperties"] = True
    for name, schema in plugins.items():
        properties["plugins"]["properties"][name] = closed(inlined(schema, schema, base), top=True)
        fragments.append(schema)
    for schema in fragments:
        if fragment := schema.get("$defs", {}).get("manifest"):
            whole = merged(whole, inlined(fragment, schema, base))
    return with_secrets(whole)


def part_of(schema: Any, value: Mapping[str, Any], key: str) -> Schema | None:
    """The schema of one key of an object, None where no schema speaks of it."""
    if not isinstance(schema, dict):
        return None
    if isinstance(part := schema.get("properties", {}).get(key), dict):
        return part
    for pattern, part in schema.get("patternProperties", {}).items():
        if re.search(pattern, key) and isinstance(part, dict):
            return part
    further = schema.get("additionalProperties")
    return further if isinstance(further, dict) else None


def walk(schema: Any, value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Any, Schema]]:
    """Every value with its keys and its schema ({} where there is none), from the outside in."""
    yield keys, value, schema if isinstance(schema, dict) else {}
    if isinstance(value, Mapping):
        for key, item in list(value.items()):
            yield from walk(part_of(schema, value, key), item, (*keys, key))
    elif isinstance(value, (list, tuple)):
        part = schema.get("items") if isinstance(schema, dict) else None
        for index, item in enumerate(value):
            yield from walk(part, item, (*keys, index))


def filled(schema: Any, value: Any) -> Any:
    """The value with every default it lacks, its keys in the schema's order unless it is ordered itself."""
    if isinstance(value, Mapping) and isinstance(schema, dict):
        properties = schema.get("properties", {})
        out = dict(value)
        for key, part in properties.items():
            if key not in out and isinstance(part, dict) and "default" in part:
                out[key] = copy.deepcopy(part["default"])
        known = [] if schema.get("x-ordered") else [key for key in properties if key in out]
        ordered = [*known, *(key for key in out if key not in known)]
        return {key: filled(part_of(schema, out, key), out[key]) for key in ordered}
    if isinstance(value, (list, tuple)):
        part = schema.get("items") if isinstance(schema, dict) else None
        return [filled(part, item) for item in value]
    return value
