# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a manifest's text: JSON or YAML, sealed by a vault or not, never larger than a manifest can be."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import json_text, yaml_text
from .problems import Positions, Problem, UnreadableError

LARGEST = 256 * 1024  # bytes
VAULT = "$ANSIBLE_VAULT;"
BEGINS_LIKE_JSON = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*\{", re.S)
Decrypt = Callable[[str], str]


@dataclass(frozen=True)
class Loaded:
    """What a file holds, and where each part of it stands; `files` are itself and those that it extends, in order."""

    data: dict[str, Any]
    positions: Positions
    files: tuple[Path, ...] = ()


def text_of(path: Path, file: str) -> str:
    """The text of a file. Raises UnreadableError when there is none, or when it is too large or no text."""
    try:
        with path.open("rb") as opened:
            raw = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(Problem(f"could not be read: {said}", "", file)) from error
    if len(raw) > LARGEST:
        raise UnreadableError(Problem(f"larger than {LARGEST // 1024} KiB: no manifest", "", file))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UnreadableError(Problem("not text in UTF-8", "", file, line, 1)) from error


def load(path: Path, *, file: str = "", decrypt: Decrypt | None = None) -> Loaded:
    """Read a manifest.

    :param file: how messages call it; the path as given when empty.
    :param decrypt: opens what ansible-vault sealed; without it a vault value is a secret that is not checked.
    :raises UnreadableError: with every problem of the text.
    """
    file = file or str(path)
    text = text_of(path, file)
    positions = Positions(file)
    if text.startswith(VAULT):
        if decrypt is None:
            hint = "ansible-playbook playbooks/plan-image.yml opens it, with --ask-vault-pass or --vault-password-file"
            raise UnreadableError(Problem("the whole file is sealed by ansible-vault", "", file, 1, 1, hint=hint))
        try:
            text = decrypt(text)
        except Exception as error:  # whatever a vault raises: the user can only be told
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UnreadableError(Problem("could not open the vault", "", file, 1, 1, hint=said)) from error
    like_json = path.suffix.lower() != ".yml" and path.suffix.lower() != ".yaml" and BEGINS_LIKE_JSON.match(text)
    if path.suffix.lower() == ".json" or like_json:
        data = json_text.read(text, positions)
    else:
        data = yaml_text.read(text, positions, decrypt)
    if not isinstance(data, dict):
        raise UnreadableError(Problem("a manifest is a mapping of sections", "", file, 1, 1))
    return Loaded(data, positions)
