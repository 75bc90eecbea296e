# SPDX-License-Identifier: GPL-3.0-or-later
"""An image of another architecture than the builder's, built and proven: the word is the same at each stage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from debfleet.common.folder import listing

pytestmark = [pytest.mark.slow, pytest.mark.root]
MANIFEST, ARCHITECTURE = "kvm-armhf", "armhf"


def test_it_boots_and_is_what_was_declared(built: Callable[..., Path]) -> None:
    folder = built(MANIFEST, prove="true")
    told: dict[str, dict[str, Any]] = {
        name: json.loads((folder / f"{name}.json").read_text()) for name in ("metadata", "packages", "proof")
    }
    assert {name: one["architecture"] for name, one in told.items()} == dict.fromkeys(told, ARCHITECTURE)
    (listed,) = listing.builds(folder.parent)
    assert (listed.state, listed.architecture, listed.proof) == ("ok", ARCHITECTURE, listing.PROVEN)
    assert told["proof"]["sha256"] == told["metadata"]["sha256"]
    checks = {check["name"]: check for check in told["proof"]["checks"]}
    assert all(check["ok"] for check in checks.values()), checks
    assert checks["architecture"]["seen"] == ARCHITECTURE
