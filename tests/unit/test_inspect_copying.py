# SPDX-License-Identifier: GPL-3.0-or-later
"""An earlier tree that another build begins with: copied whole, and refused where it is another suite's."""

from __future__ import annotations

from pathlib import Path

import pytest

from debfleet.common.errors import DebfleetError
from debfleet.common.inspect.copying import copy


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("var/lib/dpkg", "etc", "run", "lost+found", "usr/bin"):
        (root / name).mkdir(parents=True)
    (root / "etc/os-release").write_text("NAME=Debian\nVERSION_CODENAME=bookworm\n")
    stanza = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\n"
    (root / "var/lib/dpkg/status").write_text(f"Package: base\nArchitecture: all\n\n{stanza}")
    (root / "usr/bin/tool").write_text("tool")
    (root / "usr/bin/tool").chmod(0o4755)
    (root / "usr/bin/other").hardlink_to(root / "usr/bin/tool")
    (root / "etc/resolv.conf").symlink_to("../run/stub")
    (root / "run/left").touch()
    (tmp_path / "target").mkdir()
    return root


def test_a_tree_is_copied_with_modes_and_links_and_nothing_of_a_running_system(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    copy(tree, target, codename="bookworm", architecture="amd64", scratch=None)
    assert (target / "usr/bin/tool").stat().st_mode & 0o7777 == 0o4755
    assert (target / "usr/bin/other").samefile(target / "usr/bin/tool")
    assert str((target / "etc/resolv.conf").readlink()) == "../run/stub"
    assert not list((target / "run").iterdir()) and not (target / "lost+found").exists()
    assert (tree / "run/left").exists()


@pytest.mark.parametrize(("codename", "architecture"), [("trixie", "amd64"), ("bookworm", "arm64"), ("sid", "arm64")])
def test_a_tree_of_another_suite_or_architecture_is_refused(
    tree: Path, tmp_path: Path, codename: str, architecture: str
) -> None:
    with pytest.raises(DebfleetError, match=f"no tree of {codename} for {architecture}") as caught:
        copy(tree, tmp_path / "target", codename=codename, architecture=architecture, scratch=None)
    assert caught.value.why == "it is of bookworm for amd64"
    assert not list((tmp_path / "target").iterdir())


def test_sid_has_the_next_releases_name(tree: Path, tmp_path: Path) -> None:
    copy(tree, tmp_path / "target", codename="sid", architecture="amd64", scratch=None)
    assert (tmp_path / "target/usr/bin/tool").exists()


def test_what_is_no_debian_tree_is_refused(tree: Path, tmp_path: Path) -> None:
    (tree / "var/lib/dpkg/status").write_text("")
    with pytest.raises(DebfleetError, match="holds no Debian tree"):
        copy(tree, tmp_path / "target", codename="bookworm", architecture="amd64", scratch=None)
