# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules debootstrap and image_packages: what they take, plan and return, without making anything."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import debootstrap
import image_packages
import pytest
from ansible.module_utils.debfleet.bootstrap import mirror
from ansible.module_utils.debfleet.bootstrap.apt import Apt
from ansible.module_utils.debfleet.bootstrap.indices import Indices
from ansible.module_utils.debfleet.bootstrap.prepare import Ready
from ansible.module_utils.debfleet.bootstrap.resolve import Package
from ansible.module_utils.debfleet.errors import DebfleetError
from ansible.module_utils.testing import patch_module_args


def run(module: Any, **arguments: Any) -> dict[str, Any]:
    """What a module prints for these arguments."""
    out = io.StringIO()
    with patch_module_args(arguments), contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        module.main()
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A machine where apt is ready and trees are made in no time; what was done is noted."""
    seen: dict[str, Any] = {"made": [], "there": False, "fail": ""}
    source = mirror.Source("http://m.example/debian", "trixie", ("main",))
    own = Apt(tmp_path / "apt", "amd64", "trixie")
    ready = Ready(Indices(own, "trixie", ("trixie-updates",)), mirror.Mirrors("manifest", source, (), (source,)))

    def prepare(build: Path, wish: mirror.Wish, architecture: str, *_: Any, **how: Any) -> Ready:
        seen.update(build=build, wish=wish, architecture=architecture, **how)
        return ready

    def make(tree: Any, how: Any, _apt: Any, _earlier: Any) -> str:
        if seen["fail"]:
            raise DebfleetError(seen["fail"])
        seen["made"].append((tree, how))
        return str(how.tool)

    def resolve(_apt: Any, tree: Any, wanted: Any, *, standard: bool) -> list[Package]:
        if seen["fail"]:
            raise DebfleetError(seen["fail"])
        seen.update(tree=tree, wanted=wanted, standard=standard)
        return [Package("a", "1", "all", 10, 1024), Package("b", "2", "amd64", 5, 2048)]

    for module in (debootstrap, image_packages):
        monkeypatch.setattr(module, "raise_on_signals", lambda: None)
        monkeypatch.setattr(module, "prepare", prepare)
    monkeypatch.setattr(debootstrap.tree, "make", make)
    monkeypatch.setattr(debootstrap.tree, "finish", lambda *_: None)
    monkeypatch.setattr(debootstrap.tree, "version", lambda _tool: "1.2")
    monkeypatch.setattr(debootstrap.tree, "digest", lambda *_: "d")
    monkeypatch.setattr(debootstrap.tree, "is_made", lambda *_: seen["there"])
    monkeypatch.setattr(debootstrap.decide, "prepare", lambda row, wish: seen.update(row=row, ran=wish) or row.name)
    monkeypatch.setattr(debootstrap.image, "write", lambda *args: seen.update(written=args))
    monkeypatch.setattr(debootstrap.apt, "count", lambda _root: 78)
    monkeypatch.setattr(image_packages.resolve, "resolve", resolve)
    return seen


def test_what_is_missing_and_what_may_not_be_said(world: dict[str, Any]) -> None:
    assert "missing required arguments: root, suite" in run(debootstrap)["msg"]
    assert "missing required arguments: suite" in run(image_packages)["msg"]
    assert "must be one of: present" in run(debootstrap, root="/x", suite="trixie", state="absent")["msg"]
    assert "Unsupported parameters" in run(image_packages, suite="trixie", mirror="x")["msg"]


def test_a_tree_is_made(world: dict[str, Any], tmp_path: Path) -> None:
    bootstrapper = {
        "tool": "debootstrap", "variant": "buildd", "include_packages": ["a"], "exclude_packages": ["b"],
        "tarball": "/t.tar", "no-check-gpg": True, "mirror": "http://near.example/debian",
    }  # fmt: skip
    said = run(
        debootstrap, root=str(tmp_path / "root"), suite="trixie", architecture="arm64", build=str(tmp_path),
        bootstrapper=bootstrapper, image_apt={"components": ["main", "contrib"], "security": "http://s.example"},
    )  # fmt: skip
    assert said["changed"] and (said["tool"], said["tool_version"], said["packages"]) == ("debootstrap", "1.2", 78)
    assert (said["root"], said["suite"], said["codename"]) == (str(tmp_path / "root"), "trixie", "trixie")
    ((tree, how),) = world["made"]
    assert (tree.architecture, tree.variant, tree.include, tree.exclude) == ("arm64", "buildd", ("a",), ("b",))
    assert (world["row"].name, world["ran"].way, world["ran"].build, said["foreign"]) == (
        "arm64", "auto", tmp_path, "arm64"
    )  # fmt: skip
    assert (how.tool, how.no_check, how.force_check, how.tarball) == ("debootstrap", True, False, "/t.tar")
    wish = world["wish"]
    assert (wish.bootstrap_mirror, wish.security) == ("http://near.example/debian", "http://s.example")
    assert wish.components == ("main", "contrib") and world["recommends"] is False
    assert world["written"][3] == ("trixie-updates",)


def test_check_mode_plans_the_same_and_makes_nothing(world: dict[str, Any], tmp_path: Path) -> None:
    said = run(debootstrap, root=str(tmp_path / "root"), suite="trixie", _ansible_check_mode=True)
    assert said["changed"] and world["made"] == [] and "written" not in world
    world["there"] = True
    for check in (True, False):
        said = run(debootstrap, root=str(tmp_path / "root"), suite="trixie", _ansible_check_mode=check)
        assert not said["changed"] and said["packages"] == 78 and world["made"] == []
    assert world["build"] == tmp_path / "root.work"


def test_a_failure_says_what_could_not_be_done(world: dict[str, Any], tmp_path: Path) -> None:
    world["fail"] = "the mirror burns"
    said = run(debootstrap, root=str(tmp_path / "root"), suite="trixie")
    assert said["failed"] and said["msg"] == "could not make the tree of trixie"
    assert "the mirror burns" in json.dumps(said["exception"])
    said = run(image_packages, suite="trixie", build=str(tmp_path))
    assert said["failed"] and "the mirror burns" in json.dumps(said["exception"])


def test_packages_are_resolved(world: dict[str, Any], tmp_path: Path) -> None:
    said = run(
        image_packages, suite="trixie", packages={"image": ["kernel"], "manifest": ["b"]}, recommends=True,
        image_apt={"install": ["b"], "install_standard": True}, bootstrapper={"exclude_packages": ["c"]},
    )  # fmt: skip
    assert not said["changed"] and (said["download_size"], said["installed_size"]) == (15, 3072)
    assert (said["codename"], said["pockets"], said["mirror"]) == ("trixie", ["trixie-updates"], "manifest")
    assert said["packages"][0] == {
        "name": "a", "version": "1", "architecture": "all", "download_size": 10, "installed_size": 1024,
    }  # fmt: skip
    assert world["wanted"] == {"packages.install": ["b"], "image": ["kernel"], "manifest": []}, "each is told once"
    assert world["standard"] and world["recommends"] and world["tree"].exclude == ("c",)
    assert not world["build"].exists(), "nothing is kept without a build"
