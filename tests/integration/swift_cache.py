# SPDX-License-Identifier: GPL-3.0-or-later
"""What Swift's proxy asks of memcached, kept in the proxy itself: one proxy needs no server for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Cache:
    """Keys, values, and when they end."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Any, float]] = {}

    def get(self, key: str, **_: Any) -> Any:
        value, end = self.kept.get(key, (None, 0.0))
        return value if end > time.time() else None

    def set(self, key: str, value: Any, serialize: bool = True, time: float = 0, **_: Any) -> None:
        self.kept[key] = (value, now() + (time or 86400))

    def incr(self, key: str, delta: int = 1, time: float = 0, **_: Any) -> int:
        value = max(0, int(self.get(key) or 0) + delta)
        self.set(key, value, time=time)
        return value

    def delete(self, key: str, **_: Any) -> None:
        self.kept.pop(key, None)


def now() -> float:
    return time.time()


def factory(_: Any, **__: Any) -> Callable[[Any], Any]:
    """A filter for the proxy's pipeline."""
    cache = Cache()

    def filtered(app: Any) -> Any:
        def call(environ: dict[str, Any], start: Any) -> Any:
            environ["swift.cache"] = cache
            return app(environ, start)

        return call

    return filtered
