# SPDX-License-Identifier: GPL-3.0-or-later
"""One filesystem without a partition map, booted by the kernel that lies beside it, as the build's last step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.root]
MANIFEST = "kvm-amd64-direct"


def test_it_boots_by_the_kernel_beside_it(built: Callable[..., Path]) -> None:
    folder = built(MANIFEST, prove="true")
    assert (folder / "vmlinuz").stat().st_size > 1 << 20
    assert (folder / "initrd.img").stat().st_size > 1 << 20
    proof = json.loads((folder / "proof.json").read_text())
    assert all(check["ok"] for check in proof["checks"]), proof["checks"]
