# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/disks.md is what the tables say."""

from __future__ import annotations

from pathlib import Path

from debfleet.common.disk.combinations import ROOTS, TABLE
from debfleet.docs import disks as page


def test_the_page_is_current(repo: Path) -> None:
    assert (repo / page.PAGE).read_text(encoding="utf-8") == page.page(), "python -m debfleet.docs.disks writes it anew"


def test_it_tells_of_every_bootloader_and_filesystem() -> None:
    said = page.page()
    assert all(f"| {name} |" in said for name in TABLE)
    assert all(f"{name}" in said for name in ROOTS)
