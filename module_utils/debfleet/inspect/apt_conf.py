# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading apt's settings: the syntax of apt.conf, nested or with `::`."""

from __future__ import annotations

import re

TOKEN = re.compile(r'"[^"]*"|/\*.*?\*/|//[^\n]*|#[^\n]*|[{};]|[^\s{};"]+', re.DOTALL)
COMMENTS = ("//", "/*", "#")


def settings(text: str) -> list[tuple[str, str]]:
    """Each setting's full name (`Acquire::http::Proxy`) and value, in order. Never raises: what is wrong is skipped."""
    found: list[tuple[str, str]] = []
    scopes: list[str] = []
    words: list[str] = []
    for token in TOKEN.findall(text):
        if token.startswith(COMMENTS):
            continue
        if token == "{":
            scopes.append(words[0] if words else "")
            words = []
        elif token in ("}", ";"):
            if words:
                name = words[0] if len(words) > 1 or not scopes else ""
                value = words[1] if len(words) > 1 else words[0] if scopes else ""
                found.append(("::".join([*scopes, name]), value))
            words = []
            if token == "}" and scopes:
                scopes.pop()
        else:
            words.append(token.strip('"'))
    return found
