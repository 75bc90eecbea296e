# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/plugins.md is what the roles say, and no plugin, neither ours nor the older tool's, is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from manifest_tools import accepted, check_yaml

from debfleet.docs import plugins as page

ONE = """\
name: x
provider: {name: kvm}
volume: {size: 2GiB, partitions: {root: {}}}
plugins: {cloud_init: {}, PLUGIN}
"""


def test_the_page_is_current(repo: Path) -> None:
    written = (repo / page.PAGE).read_text(encoding="utf-8")
    assert written == page.page(), "python -m debfleet.docs.plugins writes it anew"


def test_the_fate_of_every_declared_plugin_is_told(repo: Path) -> None:
    declared = {path.stem for path in repo.glob("schemas/plugins/*.json")}
    assert declared <= set(page.OLDER)
    built = page.built_plugins()
    for name in page.OLDER:
        assert page.fate(name, built), name


def test_every_chapter_has_what_its_schema_and_its_tasks_say(repo: Path) -> None:
    said = page.page()
    for name in page.built_plugins():
        assert f"\n## {name}\n" in said
    assert "| `docker_opts` |" in said and "package_installation: install Docker" in said
    assert "password_env" in said and "persistent: true" not in said


def test_the_example_manifest_has_what_goes_together(repo: Path) -> None:
    example = yaml.safe_load((repo / page.EXAMPLE).read_text())
    assert set(example["plugins"]) <= set(page.built_plugins())


def test_every_plugin_has_an_example_but_the_one_that_needs_an_earlier_image() -> None:
    said = page.page()
    chapters = {name: said.partition(f"\n## {name}\n")[2].partition("\n## ")[0] for name in page.built_plugins()}
    assert [name for name, text in chapters.items() if f"```yaml\n{name}:" not in text] == ["prebootstrapped"]


@pytest.mark.parametrize("settings", ["chef: {assets: .}", "salt: {install_source: stable}", "google_cloud_sdk: {}"])
def test_who_names_a_plugin_that_is_left_out_is_told_why(tmp_path: Path, settings: str) -> None:
    checked = check_yaml(tmp_path, ONE.replace("PLUGIN", settings))
    accepted(checked)
    assert checked.not_built == (f"plugin_{settings.partition(':')[0]}",)
    [notice] = checked.notices
    assert "is left out" in str(notice) and "packages.sources" in str(notice)
