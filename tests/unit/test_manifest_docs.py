# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/manifest.md is what the schemas say."""

from __future__ import annotations

from pathlib import Path

from manifest_tools import accepted, check_yaml

from debfleet.docs import manifest as page


def test_the_page_is_current(repo: Path) -> None:
    written = (repo / page.PAGE).read_text(encoding="utf-8")
    assert written == page.page(), "python -m debfleet.docs.manifest writes it anew"


def test_its_example_is_right(tmp_path: Path) -> None:
    checked = check_yaml(tmp_path, page.SMALLEST)
    accepted(checked)
    assert not checked.notices


def test_it_tells_of_every_role_and_every_section(repo: Path) -> None:
    said = page.page()
    for path in [*repo.glob("schemas/p*/*.json"), *repo.glob("roles/p*/meta/schema.json")]:
        name = path.stem if path.parent.parent.name == "schemas" else path.parent.parent.name.split("_", 1)[1]
        assert f"{name}\n" in said
    assert "A secret." in said and "`plugins.root_password.password_file`" not in said
