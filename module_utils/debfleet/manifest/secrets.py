# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords and other secrets: where they come from, hashed before anything stores them, known so as to be masked."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets as random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DebfleetError
from ..journal import MASK
from ..run import run
from .problems import Keys, Positions, Problem, Sealed, dotted
from .schema import Schema, walk

LONGEST = 256  # openssl cuts a longer one, silently
SALT = 16


@dataclass
class Found:
    """The secrets of a manifest: plain strings to be masked, those that stay plain by their path, and problems.

    `stable` has each one's hash with a salt that never changes, to tell whether the secret has changed.
    """

    strings: list[str] = field(default_factory=list)
    plain: dict[str, str] = field(default_factory=dict)
    stable: dict[Keys, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def marked(schema: Schema, data: Any) -> Iterator[tuple[Keys, str, Schema, dict[str, Any]]]:
    """Each secret that a section can have: keys of the section, the secret's name, its schema, the section."""
    for keys, value, part in walk(schema, data):
        if isinstance(value, dict):
            for name, about in part.get("properties", {}).items():
                if isinstance(about, Mapping) and "x-secret" in about:
                    yield keys, name, dict(about), value


def secret_keys(schema: Schema, data: Any) -> set[Keys]:
    """Where values stand that must not be shown."""
    found: set[Keys] = set()
    for keys, name, _, _ in marked(schema, data):
        found |= {(*keys, name), (*keys, f"{name}-crypted")}
    return found


def hashed(password: str, salt: str) -> str:
    """The password as crypt(5) has it, SHA-512."""
    done = run(["openssl", "passwd", "-6", "-salt", salt, "-stdin"], stdin=password + "\n")
    return done.stdout.strip()


def salt_for(keys: Keys, name: str, reproducible: bool) -> str:
    """A salt; for a reproducible build always the same one. It never depends on the password."""
    if not reproducible:
        return random.token_hex(SALT // 2)
    digest = hashlib.sha256(f"{name}\0{dotted(keys)}".encode()).digest()
    return base64.b64encode(digest, b"./").decode()[:SALT]


def _from(value: str, variant: str, name: str) -> str:
    if variant == f"{name}_env":
        if value not in os.environ:
            raise ValueError(f"the environment has no variable {value}")
        return os.environ[value]
    if variant == f"{name}_file":
        try:
            with Path(value).open(encoding="utf-8") as file:
                return file.readline(LONGEST * 8).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"could not be read: {getattr(error, 'strerror', None) or 'not text in UTF-8'}") from None
    return value


def take(data: dict[str, Any], schema: Schema, positions: Positions, bad: set[Keys]) -> Found:
    """Read every secret, and put its hash, or a mask, in its place.

    Two ways at once, or none where one is needed, is an error.
    """
    found = Found()
    strings = [data_at for keys in positions.sealed if isinstance(data_at := _at(data, positions, keys), str)]
    found.strings += [text for text in strings if not isinstance(text, Sealed)]
    for keys, name, about, section in list(marked(schema, data)):
        variants = [name, f"{name}_file", f"{name}_env", f"{name}-crypted"]
        given = [variant for variant in variants if section.get(variant) is not None]
        if len(given) > 1:
            hint = f"keep one of {', '.join(variants[: 4 if about['x-secret'] == 'hash' else 3])}"
            message = f"two ways to give the {name}: {' and '.join(given)}"
            found.problems.append(positions.problem((*keys, given[1]), message, key=True, hint=hint))
        if not given and about.get("x-required"):
            allowed = variants[: 4 if about["x-secret"] == "hash" else 3]
            found.problems.append(positions.problem((*keys, name), f"{name} is missing", key=True, allowed=allowed))
        for variant in given:
            _take(found, (*keys, variant), name, about, section, positions, bad)
        if len(given) == 1 and (*keys, given[0]) not in bad:
            _store(found, keys, name, given[0], about, section, data)
    return found


def _at(data: Any, positions: Positions, written: Keys) -> Any:
    """The value that stood at these keys in the file, wherever it is now."""
    back = {old: new for new, old in positions.moved.items()}
    keys = written
    for length in range(len(written), 0, -1):
        if written[:length] in back:
            keys = back[written[:length]] + written[length:]
            break
    for key in keys:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _take(
    found: Found, keys: Keys, name: str, about: Schema, section: dict[str, Any], positions: Positions,
    bad: set[Keys],
) -> None:  # fmt: skip
    """Read one secret from wherever it is, into the section under the name of its variant."""
    variant = str(keys[-1])
    value = section[variant]
    if not isinstance(value, str) or isinstance(value, Sealed) or value == MASK:
        return
    try:
        text = _from(value, variant, name) if keys not in bad else value
    except ValueError as error:
        found.problems.append(positions.problem(keys, str(error), value=value))
        bad.add(keys)
        return
    if variant not in (f"{name}_file", f"{name}_env") or keys not in bad:
        found.strings.append(text)
    if keys in bad:
        return
    if not text or len(text.encode()) > LONGEST or any(char < " " for char in text):
        message = "is empty" if not text else f"must be one line of at most {LONGEST} bytes"
        found.problems.append(positions.problem(keys, message))
        bad.add(keys)
    section[variant] = text


def _store(
    found: Found, keys: Keys, name: str, variant: str, about: Schema, section: dict[str, Any], data: dict[str, Any]
) -> None:
    """What the canonical form has of a secret: the hash, or a mask."""
    value = section.pop(variant)
    found.stable[(*keys, name)] = _stable(value, keys)
    if about["x-secret"] != "hash":
        section[name] = MASK
        if isinstance(value, str) and not isinstance(value, Sealed):
            found.plain[dotted((*keys, name))] = value
        return
    if variant != f"{name}-crypted" and not isinstance(value, Sealed) and value != MASK:
        salt = salt_for((*keys, name), str(data.get("name")), data.get("reproducible") is True)
        try:
            value = hashed(value, salt)
        except DebfleetError as error:
            found.problems.append(
                Problem(f"could not hash the {name}: {error.what}", dotted((*keys, name)), hint=error.hint)
            )
            value = MASK
        found.strings.append(value)
    section[f"{name}-crypted"] = MASK if isinstance(value, Sealed) else value


def _stable(value: Any, keys: Keys) -> str:
    if not isinstance(value, str) or isinstance(value, Sealed) or value == MASK or value.startswith("$"):
        return str(value)
    try:
        return hashed(value, salt_for(keys, "", True))
    except DebfleetError:  # told where it is hashed for good
        return ""
