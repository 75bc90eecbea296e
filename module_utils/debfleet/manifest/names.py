# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables in braces: values of the manifest (``{system.release}``) and parts of the date (``{%Y}``)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from .problems import SECRETIVE, Keys, Positions, Problem
from .schema import Schema, walk
from .validate import close

SECTIONS = ("system", "provider", "volume", "bootstrapper")
DATES = "YymdHMSjUWBbAaIp"
MIRROR = "apt_mirror"  # only in apt's lines; the bootstrap fills it in where the manifest has no mirror
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*\Z")
LONGEST_NAME = 128
VARIABLE = re.compile(r"\{([^{}]*)\}")


def moment(now: datetime | None = None) -> datetime:
    """The time that names speak of: as given, SOURCE_DATE_EPOCH, or now."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if now is None and epoch.isdigit() and len(epoch) < 12:
        return datetime.fromtimestamp(int(epoch), UTC)
    return now or datetime.now(UTC)


def scalars(data: Mapping[str, Any]) -> dict[str, str]:
    """What a variable can stand for: each scalar of the sections, by its dotted name. Nothing that sounds secret."""
    found: dict[str, str] = {}

    def look(value: Any, name: str) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                if not SECRETIVE.search(str(key)) and (name, key) != ("volume", "partitions"):
                    look(item, f"{name}.{key}")
        elif isinstance(value, (str, int)) and not isinstance(value, bool):
            found[name] = str(value)

    for section in SECTIONS:
        look(data.get(section), section)
    return found


def interpolate(text: str, values: Mapping[str, str], now: datetime) -> tuple[str, list[str]]:
    """The text with its variables filled in, and those that are unknown."""
    unknown: list[str] = []

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if len(name) == 2 and name[0] == "%" and name[1] in DATES:
            return now.strftime(name)
        if name in values:
            return values[name]
        unknown.append(name)
        return match[0]

    return VARIABLE.sub(fill, text), unknown


def _marked(schema: Schema, data: Any) -> Iterator[tuple[Keys, str]]:
    for keys, value, part in walk(schema, data):
        if part.get("x-interpolate") and isinstance(value, str):
            yield keys, value


def _get(data: Mapping[str, Any], section: str, key: str) -> Any:
    part = data.get(section)
    return part.get(key) if isinstance(part, Mapping) else None


def put(data: Any, keys: Keys, value: Any) -> None:
    """Put a value into nested mappings and lists that are there."""
    for key in keys[:-1]:
        data = data[key]
    data[keys[-1]] = value


def fill(data: dict[str, Any], schema: Schema, positions: Positions, now: datetime, bad: set[Keys]) -> list[Problem]:
    """Fill in the variables of every text that may hold some, in place; an unknown one is an error."""
    values = scalars(data)
    problems: list[Problem] = []
    mirrors = [_get(data, section, "mirror") for section in ("packages", "bootstrapper")]
    mirror = next((one for one in mirrors if isinstance(one, str)), "")
    for keys, text in sorted(_marked(schema, data), key=lambda found: found[0] != ("name",)):
        if keys in bad:
            continue
        in_apt = keys[:2] == ("packages", "sources")
        known = {**values, **({MIRROR: mirror or "{" + MIRROR + "}"} if in_apt else {})}
        new, unknown = interpolate(text, known, now)
        words = [*known, "%Y", "%m", "%d"]
        for name in unknown:
            above = tuple(name.split("."))
            if any(above[: len(one)] == one for one in bad if one):
                continue  # its value is an error of its own
            hint = close(name, words) or "%Y, %m, %d, %H, %M and their like are parts of the date"
            problems.append(
                positions.problem(keys, f"there is no variable {{{name}}}", value=text, allowed=words, hint=hint)
            )
        left = new.replace("{" + MIRROR + "}", "") if in_apt else new
        if not unknown and re.search(r"[{}]", left):
            problems.append(positions.problem(keys, "a brace without its other half", value=text))
        if keys == ("name",) and not unknown:
            problems += name_problems(new, text, positions)
            values["name"] = new
        put(data, keys, new)
    return problems


def name_problems(name: str, text: str, positions: Positions) -> list[Problem]:
    """A name is a folder in build/ and part of file names."""
    if NAME.match(name) and len(name) <= LONGEST_NAME:
        return []
    allowed = f"letters, digits and . _ + ~ -, the first a letter or digit, at most {LONGEST_NAME}"
    hint = re.sub(r"[^A-Za-z0-9._+~-]+", "-", name).strip("-.")[:LONGEST_NAME]
    message = "names a folder and can't be this" + (f": {name}" if name != text else "")
    hint = f"for example {hint}" if hint else ""
    return [positions.problem(("name",), message, value=text, allowed=allowed, hint=hint)]
