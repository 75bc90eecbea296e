# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks run on a tree by themselves: what fails, what they may change, and what is left of it all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from debfleet.common import journal
from debfleet.common.bootstrap import image, mirror
from debfleet.common.bootstrap import tree as trees
from debfleet.common.bootstrap.image import ImageApt
from debfleet.common.bootstrap.prepare import prepare
from debfleet.common.bootstrap.tree import How
from debfleet.common.bootstrap.variant import Tree
from debfleet.common.errors import DebfleetError
from debfleet.controller import playbook
from debfleet.controller.inside import Inside
from debfleet.controller.playbook import Settings

pytestmark = [pytest.mark.slow, pytest.mark.root]
SUITE = "bookworm"


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """A minimal tree with the sources of an image, and the folder of the build that made it."""
    build = tmp_path_factory.mktemp("build")
    root = Path("/dev/shm") / f"debfleet-test-{os.getpid()}"
    root.mkdir()
    try:
        ready = prepare(build, mirror.wish_of({}, {}, SUITE), "amd64", ImageApt())
        tree = Tree(root=root, suite=SUITE, architecture="amd64")
        trees.make(tree, How(tarball=True), ready.apt)
        sources = ready.mirrors.image
        image.write(root, ImageApt().with_mirror(sources[0].uri), sources, ready.indices.pockets)
        yield Inside(root, build)
    finally:
        shutil.rmtree(root)


def play(folder: Path, *tasks: dict[str, Any], **more: Any) -> str:
    """A playbook of these tasks."""
    path = folder / "play.yml"
    path.write_text(yaml.safe_dump([{"name": "Try", "hosts": "all", "gather_facts": False, "tasks": tasks, **more}]))
    return str(path)


def apply(inside: Inside, settings: Settings, secrets: tuple[str, ...] = ()) -> tuple[dict[str, int], list[str]]:
    """How many tasks did what, and the warnings."""
    told: list[str] = []
    with journal.writing(inside.build, secrets):
        counts = playbook.apply(settings, inside, told.append)
    assert_nothing_left(inside)
    return counts, told


def assert_nothing_left(inside: Inside) -> None:
    """Nothing of the builder and of the play's machinery is in the tree."""
    root = inside.root
    assert "debfleet-build" not in "".join(os.listdir(root / "etc/apt/sources.list.d"))
    assert not [path for path in (root / "etc/apt/trusted.gpg.d").iterdir() if path.name.startswith("debfleet-")]
    assert "Enabled" not in (root / "etc/apt/sources.list.d/debian.sources").read_text()
    assert not (root / "root/.ansible").exists() and not (root / "etc/resolv.conf").exists()
    assert not list((root / "run").glob(".*")) and not list((root / "usr/bin").glob("python3*"))
    assert not (inside.build / playbook.FOLDER).exists(), "files with secrets"


def test_a_task_that_fails_is_named_with_its_line_and_what_it_said(inside: Inside, tmp_path: Path) -> None:
    tasks = [
        {"name": "Go on", "ansible.builtin.command": "false", "ignore_errors": True},
        {"name": "Ask too much", "ansible.builtin.apt": {"name": "no-such-package"}},
        {"name": "Never come here", "ansible.builtin.file": {"path": "/never", "state": "touch"}},
    ]
    with pytest.raises(DebfleetError) as caught:
        apply(inside, Settings(playbook=play(tmp_path, *tasks)))
    assert caught.value.what == "play.yml: Ask too much failed"
    file, _, line = caught.value.where.rpartition(":")
    assert file == str(tmp_path / "play.yml") and "Ask too much" in "".join(
        (tmp_path / "play.yml").read_text().splitlines()[int(line) - 1 : int(line) + 3]
    )
    assert "no-such-package" in caught.value.why
    assert not (inside.root / "never").exists()
    assert_nothing_left(inside)


def test_a_play_for_another_host_does_nothing_and_says_so(inside: Inside, tmp_path: Path) -> None:
    settings = Settings(playbook=play(tmp_path, {"ansible.builtin.command": "true"}, hosts="others"), groups=["mine"])
    with pytest.raises(DebfleetError, match="did nothing in the image") as caught:
        apply(inside, settings)
    assert "all, image, mine" in caught.value.hint


def test_a_playbook_that_cannot_be_read_is_told_before_anything_runs(tmp_path: Path) -> None:
    path = play(tmp_path, {"ansible.builtin.no_such_module": {}})
    with pytest.raises(DebfleetError, match=r"play\.yml could not be run") as caught:
        playbook.check(Settings(playbook=path), tmp_path)
    assert "no_such_module" in caught.value.why
    assert {one.name for one in tmp_path.iterdir()} == {"play.yml"}


def test_what_a_play_changes_in_apts_sources_stays_and_the_builders_do_not(inside: Inside, tmp_path: Path) -> None:
    sources = inside.root / "etc/apt/sources.list.d/debian.sources"
    before = sources.read_text()
    line = {
        "path": "/etc/apt/sources.list.d/debian.sources",
        "regexp": "^Components:.*",
        "replace": "Components: main contrib",
    }
    tasks = [
        {"name": "Apt works with what the build uses", "ansible.builtin.apt": {"name": "dash", "state": "latest"}},
        {"name": "Take more components", "ansible.builtin.replace": line},
        {"name": "Write to the resolver", "ansible.builtin.shell": "echo nameserver 192.0.2.1 >> /etc/resolv.conf"},
    ]  # fmt: skip
    resolver = Path("/etc/resolv.conf").read_text()
    apply(inside, Settings(playbook=play(tmp_path, *tasks)))
    assert sources.read_text() == before.replace("Components: main", "Components: main contrib")
    sources.write_text(before)
    assert Path("/etc/resolv.conf").read_text() == resolver, "the builder's own"


def test_the_builders_kernel_settings_cannot_be_written(inside: Inside, tmp_path: Path) -> None:
    tasks = [{"name": "Set one", "ansible.builtin.shell": "echo 1 > /proc/sys/kernel/printk"}]
    with pytest.raises(DebfleetError, match="Set one failed") as caught:
        apply(inside, Settings(playbook=play(tmp_path, *tasks)))
    assert "Read-only file system" in caught.value.why


def test_vaults_options_and_tags_are_passed_on_and_secrets_kept_back(inside: Inside, tmp_path: Path) -> None:
    password, secret = "vault-pass", "planted-in-a-vault"
    (tmp_path / "pass").write_text(password)
    (tmp_path / "vars.yml").write_text(f"hidden: {secret}\n")
    vault = ["ansible-vault", "encrypt", "--vault-password-file", str(tmp_path / "pass"), str(tmp_path / "vars.yml")]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(vault, check=True, capture_output=True, env=environment)
    write = {"content": "{{ hidden }} {{ token }}", "dest": "/etc/hidden", "mode": "0600"}
    tasks = [
        {"name": "Write it", "ansible.builtin.copy": write, "tags": ["wanted"]},
        {"name": "Leave this", "ansible.builtin.command": "false", "tags": ["other"]},
        {"name": "Leave that", "ansible.builtin.command": "false", "tags": ["wanted", "unwanted"]},
    ]
    settings = Settings(
        playbook=play(tmp_path, *tasks),
        extra_vars={"token": "planted-token"},
        tags=["wanted"],
        skip_tags=["unwanted"],
        opt_flags=["--extra-vars", "@vars.yml"],
        vaults=[("default", password.encode())],
    )
    counts, _ = apply(inside, settings, ("planted-token",))
    assert counts["ok"] == 1
    assert (inside.root / "etc/hidden").read_text() == f"{secret} planted-token"
    log = (inside.build / journal.LOG).read_text()
    assert secret not in log and "planted-token" not in log and password not in log


def test_python_comes_with_the_tree_where_it_has_one(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "var/lib/dpkg").mkdir(parents=True)
    packages = "\n".join(f"Package: {name}\nStatus: install ok installed\n" for name in ("python3", "python3-apt"))
    (root / "var/lib/dpkg/status").write_text(packages)
    own = Inside(root, tmp_path)
    own.folder.mkdir()
    own.make_python()
    assert "exec /usr/bin/python3 " in (own.folder / "python/usr/bin/python3").read_text()


def test_a_second_task_does_not_compile_pythons_modules_again(inside: Inside, tmp_path: Path) -> None:
    task = {"name": "Start Python", "ansible.builtin.setup": {"gather_subset": ["!all"]}}
    apply(inside, Settings(playbook=play(tmp_path, task)))
    cache = inside.folder / "cache/python"
    assert any(cache.rglob("*.pyc"))
    newest = max(path.stat().st_mtime for path in cache.rglob("subprocess.*.pyc"))
    time.sleep(0.01)
    apply(inside, Settings(playbook=play(tmp_path, task)))
    assert max(path.stat().st_mtime for path in cache.rglob("subprocess.*.pyc")) == newest
    assert not list(inside.root.glob("usr/lib/python3/**/*.pyc"))
