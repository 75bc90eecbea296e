# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets of a manifest: which they are, and the manifest without them.

Passwords come hashed from the manifest's room; a hash is a secret too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .journal import MASK

# Keys whose values are secrets, in any plugin and provider.
SECRET = re.compile(r"pass(word|wd|phrase)|secret|token|credential|private[-_]?key|access[-_]?key", re.IGNORECASE)
ADDRESS = re.compile(r"(?<=://)[^/@\s:]+:[^/@\s]+(?=@)")  # user:password@ of a URL
SHORTEST = 4  # characters of a secret that is looked for in texts
DEBCONF = re.compile(r"(?m)^(\s*\S+\s+\S+\s+password\s+)(\S.*)$")  # a line of debconf-set-selections


def _texts(value: Any, secret: bool = False) -> Iterator[str]:
    """Every secret text below a value."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, secret or bool(SECRET.search(str(key))))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item, secret)
    elif isinstance(value, str) and value:
        if secret:
            yield value
        yield from ADDRESS.findall(value)
        yield from (match[1] for match in DEBCONF.findall(value))


def secrets_of(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The secret texts in a manifest, longest first; not those that are so short that masking them garbles a log."""
    found = {text for text in _texts(manifest) if len(text) >= SHORTEST}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def masked(value: Any, secret: bool = False) -> Any:
    """The same value with every secret text replaced by a mask."""
    if isinstance(value, Mapping):
        return {key: masked(item, secret or bool(SECRET.search(str(key)))) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item, secret) for item in value]
    if isinstance(value, str) and value:
        return MASK if secret else DEBCONF.sub(rf"\g<1>{MASK}", ADDRESS.sub(MASK, value))
    return value
