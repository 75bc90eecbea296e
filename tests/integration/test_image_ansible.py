# SPDX-License-Identifier: GPL-3.0-or-later
"""An image to which a user's playbook and roles are applied, and which is made small; and such a build killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import plays
import pytest
from plays import Traces, traces, wait_for
from rollback import KEPT, assert_nothing_happened, keep_an_image, log_says

pytestmark = [pytest.mark.slow, pytest.mark.root]
PLAYBOOK = plays.ROOT / "tests/data/playbook"
ANSIBLE = {
    "playbook": str(PLAYBOOK / "site.yml"),
    "roles": [str(PLAYBOOK / "roles/greeter")],
    "extra_vars": {"colour": "blue", "db_password": "planted-pa55"},
    "skip_tags": ["never_here"],
    "groups": ["webservers"],
}
SMALL = {
    "shrink": True,
    "zerofree": True,
    "apt": {"autoclean": True, "languages": ["none"], "gzip_indexes": True, "autoremove_suggests": True},
    "dpkg": {"locales": ["de_AT"], "exclude_docs": True},
}
QCOW2 = {
    "backing": "qcow2",
    "size": "1GiB",
    "partitions": {"type": "none", "root": {"size": "remaining", "filesystem": "ext4"}},
}
Look = Callable[[str], str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the image, beside which play.log tells what the build printed."""
    base = tmp_path_factory.mktemp("small")
    plugins = {"ansible": ANSIBLE, "minimize_size": SMALL}
    manifest = plays.write_manifest(base, "small", plugins, volume=QCOW2, bootstrapper=KEPT)
    done = plays.run("build-image", base, manifest=manifest, image_kernel="false")
    assert done.returncode == 0, done.stdout
    (base / "play.log").write_text(done.stdout)
    assert traces("small", base) == Traces()
    return base / "build/small"


@pytest.fixture(scope="module")
def look(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Look:
    """Ask debugfs about the image."""
    raw = tmp_path_factory.mktemp("raw") / "disk.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", folder / "disk.qcow2", raw], check=True)

    def ask(request: str) -> str:
        return subprocess.run(["debugfs", "-R", request, raw], text=True, capture_output=True, check=True).stdout

    return ask


def test_the_playbook_and_the_roles_were_applied(look: Look) -> None:
    assert look("cat /etc/colour") == "blue planted-pa55\n"
    assert "Mode:  0640" in look("stat /etc/colour") and "User:  1234 " in look("stat /etc/colour")
    assert look("cat /etc/site") == "Debian image hello from group_vars\n"
    assert look("cat /home/deploy/whoami") == "deploy\n"
    assert "\nDIR_MODE=0700\n" in look("cat /etc/adduser.conf")
    assert look("cat /etc/greeter") == "blue\n"
    assert not look("stat /skipped")


def test_services_are_enabled_and_nothing_was_started(folder: Path, look: Look) -> None:
    wanted = look("ls /etc/systemd/system/multi-user.target.wants")
    assert "started.service" in wanted and "cron.service" in wanted
    assert not look("stat /started") and not Path("/started").exists()
    told = (folder.parent.parent / "play.log").read_text()
    said = "nothing is started in an image that is built; what is enabled starts at boot"
    assert said in " ".join(told.split()) and "Restart it" in told


def test_neither_python_nor_the_builders_sources_are_in_the_image(folder: Path, look: Look) -> None:
    packages = [package["name"] for package in json.loads((folder / "packages.json").read_text())["packages"]]
    assert "cron" in packages and not [name for name in packages if "python" in name]
    assert not look("stat /usr/bin/python3") and not look("stat /usr/lib/python3")
    assert look("ls -p /etc/apt/sources.list.d").count("/100") == 1 and "Enabled" not in look(
        "cat /etc/apt/sources.list.d/debian.sources"
    )
    assert "Type: symlink" in look("stat /etc/resolv.conf")
    assert ".ansible" not in look("ls /root") + look("ls /tmp")


def test_the_secret_is_in_the_image_alone(folder: Path) -> None:
    found = subprocess.run(
        ["grep", "-rl", "planted-pa55", str(folder), str(folder.parent.parent / "play.log")],
        text=True,
        capture_output=True,
        check=False,
    )
    assert not [path for path in found.stdout.split() if not path.endswith("disk.qcow2")]
    assert json.loads((folder / "manifest.json").read_text())["plugins"]["ansible"]["extra_vars"]["colour"] == "blue"


def test_the_log_has_every_task_with_its_line(folder: Path) -> None:
    log = (folder / "build.log").read_text()
    assert f"| TASK Install a package  ({PLAYBOOK}/site.yml:" in log
    assert "| TASK greeter : Greet  (" in log


def test_documents_and_translations_are_left_out_also_of_what_the_bootstrap_brought(look: Look) -> None:
    for package in ("dash", "cron", "openssh-client"):  # of the bootstrap, the playbook, the build
        names = [word for word in look(f"ls /usr/share/doc/{package}").split() if word.isalpha()]
        assert names == ["copyright"], package
    assert "Type: symlink" in look("stat /usr/share/doc/openssh-server"), "its copyright is openssh-client's"
    assert "de" in (kept := look("ls /usr/share/locale").split()) and not {"fr", "es", "pt_BR"} & set(kept)
    assert "locale.alias" in kept
    assert ".gz" not in look("ls /usr/share/man/man1") + look("ls /usr/share/man/man8")
    assert "path-exclude=/usr/share/doc/*" in look("cat /etc/dpkg/dpkg.cfg.d/60minimize-size")
    assert 'Acquire::Languages { "none"; };' in look("cat /etc/apt/apt.conf.d/60minimize-size")


def test_the_file_is_compressed_and_each_saving_told(folder: Path) -> None:
    metadata = json.loads((folder / "metadata.json").read_text())
    saved = metadata["savings"]
    assert set(saved) == {"dpkg", "zerofree", "shrink"}
    assert saved["shrink"]["after"] == metadata["sizes"]["allocated"] < saved["shrink"]["before"] / 2
    assert saved["dpkg"]["before"] - saved["dpkg"]["after"] > 15 * 1024**2
    assert saved["zerofree"]["before"] < 1024**2, "a fresh disk has no free blocks that hold something"
    info = ["qemu-img", "info", "--output=json", str(folder / "disk.qcow2")]
    told = json.loads(subprocess.run(info, text=True, capture_output=True, check=True).stdout)
    assert told["format-specific"]["data"]["compression-type"] == "zstd"
    printed = (folder.parent.parent / "play.log").read_text()
    assert "minimize_size: dpkg " in printed and "minimize_size: shrink " in printed


def test_an_image_begins_with_an_earlier_one(folder: Path, tmp_path: Path) -> None:
    plugins = {"prebootstrapped": {"folder": str(folder)}, "commands": {"commands": [["touch", "/again"]]}}
    manifest = plays.write_manifest(tmp_path, "again", plugins)
    done = plays.run("build-image", tmp_path, manifest=manifest, image_kernel="false", cache="off")
    assert done.returncode == 0, done.stdout
    log = (tmp_path / "build/again/build.log").read_text()
    assert "--variant=minbase" not in log and "Setting up openssh-server" not in log
    requests = "ls /etc", "stat /again", "stat /etc/resolv.conf"
    disk = tmp_path / "build/again/disk.raw"
    asked = [
        subprocess.run(["debugfs", "-R", one, disk], text=True, capture_output=True, check=True) for one in requests
    ]
    said = [done.stdout for done in asked]
    assert " colour " in said[0] and said[1] and "Type: symlink" in said[2]
    assert traces("again", tmp_path) == Traces()


def test_a_program_that_is_missing_is_named_before_anything_is_touched(tmp_path: Path) -> None:
    volume = {**QCOW2, "backing": "vmdk"}
    plugins = {"minimize_size": {"shrink": "vmware-vdiskmanager"}}
    manifest = plays.write_manifest(tmp_path, "vmware", plugins, volume=volume)
    done = plays.run("build-image", tmp_path, manifest=manifest, image_kernel="false")
    assert done.returncode != 0
    assert "vmware-vdiskmanager is not installed" in done.stdout
    assert "plugins.minimize_size.shrink" in done.stdout
    assert not (tmp_path / "build").exists()


def test_a_playbook_dies_with_its_build(tmp_path: Path) -> None:
    playbook = tmp_path / "wait.yml"
    playbook.write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n  - name: Wait\n    command: sh -c 'sleep 3600 & sleep 3600'\n"
    )
    name = "kill-playbook"
    manifest = plays.write_manifest(tmp_path, name, {"ansible": {"playbook": str(playbook)}}, bootstrapper=KEPT)
    keep_an_image(tmp_path, name)
    play = plays.start("build-image", tmp_path, manifest=manifest, image_kernel="false")
    try:
        wait_for(lambda: sleeping(name) or play.poll() is not None, "the playbook to wait")
        assert play.poll() is None, (tmp_path / "play.log").read_text()
        assert log_says(tmp_path, "TASK Wait")
        os.kill(play.pid, signal.SIGKILL)
        play.wait(plays.PATIENCE)
        wait_for(lambda: traces(name, tmp_path) == Traces(), f"nothing to be left: {traces(name, tmp_path)}")
        wait_for(lambda: not sleeping(name), "what slept in the tree to be gone")
        assert_nothing_happened(tmp_path, name)
    finally:
        play.kill()
        play.wait()


def sleeping(name: str) -> list[int]:
    """The processes in the tree of this build that sleep."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                inside = f"debfleet-{name}" in os.readlink(entry / "root")
                if inside and (entry / "cmdline").read_bytes() == b"sleep\x003600\x00":
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
