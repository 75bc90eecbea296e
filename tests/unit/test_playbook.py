# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's playbook as a step of a build: command line, inventory, failures, and what apt sees."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from debfleet.common.bootstrap.apt import Apt
from debfleet.common.errors import DebfleetError
from debfleet.common.run import CommandError
from debfleet.controller import inside, playbook
from debfleet.controller.inside import Inside, apt_of_the_build
from debfleet.controller.playbook import Settings

STANZAS = """Types: deb
URIs: http://archive.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main
"""


@pytest.fixture
def lent(tmp_path: Path) -> Inside:
    """A tree with the image's sources, and a build whose mirror has a key and a certificate of this machine."""
    build, root = tmp_path / "build", tmp_path / "root"
    (root / "etc/apt/sources.list.d").mkdir(parents=True)
    (root / "etc/apt/trusted.gpg.d").mkdir()
    (root / inside.ARCHIVE).write_text(STANZAS)
    key, certificate = tmp_path / "mine.gpg", tmp_path / "ca.crt"
    key.write_text("key")
    certificate.write_text("certificate")
    apt = Apt(
        build / "apt",
        "amd64",
        "bookworm",
        sources=(
            f"deb [signed-by={key}] http://mirror.example/debian bookworm main",
            f"deb [signed-by={key}] http://mirror.example/debian bookworm-updates main",
            "deb http://further.example/debian stable main",
        ),
        settings=('Acquire::Check-Valid-Until "false";', f'Acquire::https::CAInfo "{certificate}";'),
    )
    apt.save()
    for name in ("lists", "trusted.gpg.d"):
        (apt.folder / name).mkdir()
    (apt.folder / "lists/one_Packages").write_text("Package: a\n")
    (apt.folder / "trusted.gpg.d/builder.gpg").write_text("trusted")
    found = Inside(root, build)
    found.folder.mkdir()
    return found


def test_apt_inside_has_the_builds_sources_and_nothing_of_them_stays(lent: Inside) -> None:
    folder, root = lent.folder, lent.root
    with apt_of_the_build(lent):
        sources = (root / inside.LIST).read_text().splitlines()
        assert sources == [
            "deb [signed-by=/run/.debfleet/files/mine.gpg] http://mirror.example/debian bookworm main",
            "deb [signed-by=/run/.debfleet/files/mine.gpg] http://mirror.example/debian bookworm-updates main",
        ], "the further repository is in the image by its own file"
        assert (folder / "files/mine.gpg").read_text() == "key"
        assert (root / inside.ARCHIVE).read_text().count("Enabled: no") == 2
        conf = (folder / "apt.conf").read_text()
        assert 'Acquire::Check-Valid-Until "false";' in conf
        assert 'Acquire::https::CAInfo "/run/.debfleet/files/ca.crt";' in conf
        assert (folder / "files/ca.crt").read_text() == "certificate"
        assert (folder / "lists/one_Packages").exists()
        assert (root / "etc/apt/trusted.gpg.d/debfleet-builder.gpg").exists()
    assert {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} == {inside.ARCHIVE}
    assert (root / inside.ARCHIVE).read_text() == STANZAS


def test_what_a_play_writes_into_the_sources_stays_also_when_it_fails(lent: Inside) -> None:
    archive = lent.root / inside.ARCHIVE
    with pytest.raises(RuntimeError), apt_of_the_build(lent):
        archive.write_text(archive.read_text().replace("Components: main", "Components: main contrib"))
        raise RuntimeError
    assert archive.read_text() == STANZAS.replace("Components: main", "Components: main contrib")
    with apt_of_the_build(lent):
        archive.unlink()
    assert not archive.exists()


@pytest.mark.parametrize("program", [sys.executable, "/bin/sh"])
def test_the_loader_of_a_program_is_found(program: str) -> None:
    assert "/ld-linux" in inside.interpreter(Path(program).resolve())


def test_what_is_no_program_has_no_loader(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("#!/bin/sh\n")
    with pytest.raises(DebfleetError, match="no dynamic loader"):
        inside.interpreter(tmp_path / "text")


def test_python_is_lent_unless_the_tree_has_it_with_apts_module() -> None:
    found = inside.PYTHONS.findall(
        "\n".join(
            f"Package: {name}"
            for name in (
                *("python3", "python3-minimal", "python3.11", "python3.11-minimal", "libpython3-stdlib"),
                *("libpython3.11-minimal", "python3-apt", "python-apt-common", "python3-yaml", "libpython3.11", "dpkg"),
            )
        )
    )
    assert len(found) == 9, "python3-yaml and dpkg are none of them"


def test_the_command_line_has_no_secret(tmp_path: Path) -> None:
    settings = Settings(
        playbook="/site.yml",
        extra_vars={"password": "planted"},
        tags=["a", "b"],
        skip_tags=["c"],
        opt_flags=["--diff"],
        vaults=[("default", b"planted"), ("prod", b"planted")],
    )
    words = playbook.command(settings, tmp_path, ["/site.yml"], "--syntax-check")
    assert "planted" not in " ".join(words) + repr(settings)
    assert [word for word in words if word.startswith(("--tags", "--skip"))] == [
        "--tags=a",
        "--tags=b",
        "--skip-tags=c",
    ]
    assert words[-3:] == ["--syntax-check", "--diff", "/site.yml"]
    assert f"prod@{tmp_path}/vault.1" in words


def test_the_image_is_in_the_groups_that_the_manifest_names(tmp_path: Path) -> None:
    told = playbook.inventory(Settings(playbook="/site.yml", groups=["web", "db"]), Inside(tmp_path, tmp_path))["all"]
    assert set(told["children"]) == {"web", "db"} and "image" in told["children"]["web"]["hosts"]
    assert told["hosts"]["image"]["ansible_connection"] == "image_root"


def test_the_last_task_that_failed_is_told_else_what_ansible_said() -> None:
    error = CommandError(["ansible-playbook"], 4, "ERROR! no such module")
    settings = Settings(playbook="/a/site.yml")
    bare = playbook._failure(settings, [{"event": "done"}], error)
    assert bare.what == "site.yml could not be run" and "no such module" in bare.why
    told = [{"event": "failed", "task": "one", "path": "/a/site.yml:3", "msg": "why"}]
    one = playbook._failure(settings, told, error)
    assert (one.what, one.where, one.why) == ("site.yml: one failed", "/a/site.yml:3", "why")


def test_idle_services_are_told_once_with_their_tasks() -> None:
    offline = f"{playbook.OFFLINE}. This can lead to false positives."
    events = [
        {"event": "warning", "task": "Start it", "msg": offline},
        {"event": "warning", "task": "Start that", "msg": offline},
        {"event": "warning", "task": "Start it", "msg": offline},
        {"event": "warning", "task": "Other", "msg": "careful"},
    ]
    first, second = playbook._warnings(events)
    assert first.endswith("Start it, Start that") and second == "careful"
    assert playbook._warnings([]) == []


def test_roles_find_what_lies_beside_them(tmp_path: Path) -> None:
    for name in ("web", "base"):
        (tmp_path / "roles" / name / "tasks").mkdir(parents=True)
    (tmp_path / "roles/README").write_text("")
    folder = tmp_path / "work"
    folder.mkdir()
    play = json.dumps(playbook._play_of_roles(folder, [str(tmp_path / "roles/web")]).read_text())
    assert "web" in play and "base" not in play
    assert {path.name for path in (folder / "roles").iterdir()} == {"web", "base"}
