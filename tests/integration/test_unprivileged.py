# SPDX-License-Identifier: GPL-3.0-or-later
"""A user who isn't root builds the image that root builds, leaves as little behind, and is told what can't be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import ordinary_user
import plays
import pytest
from plays import Traces, traces, wait_for

from debfleet.common.compare import compare

pytestmark = [pytest.mark.slow, pytest.mark.root]

OWN = {"/etc/fstab"}  # what two builds of one manifest never have the same: the root's UUID
ODD = """
set -e
cd /srv
for owner in 0:0 1:1 33:33 100:65534 65534:100; do touch "of-$owner"; chown "$owner" "of-$owner"; done
mkfifo pipe; ln -s /nowhere link; ln of-33:33 of-33:33.too; mkdir -m 3775 both; chown 1:33 both
cp /bin/true suid; chown 33:33 suid; chmod 6755 suid
setcap cap_net_raw+ep of-1:1
"""
PACKAGES = {"install": ["iputils-ping", "libcap2-bin"]}  # ping gets its right from a maintainer script


def command(folder: Path, playbook: str, **words: Any) -> list[str]:
    """The command line by which the user runs a playbook at home, with a manifest that lies there."""
    return ordinary_user.command(plays.command(playbook, **words), folder)


def run(folder: Path, playbook: str, **words: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, playbook, **words),
        env=ordinary_user.environment(),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def write_manifest(folder: Path, name: str, plugins: dict[str, Any], **other: Any) -> str:
    """A small image's manifest in the user's home."""
    path = plays.write_manifest(ordinary_user.home(folder), name, plugins, **other)
    os.chown(path, ordinary_user.UID, ordinary_user.UID)
    return path.name


def left(folder: Path, name: str) -> dict[str, object]:
    """What of a build, or of any process of the user or of the user's subordinate ids, is there; empty when nothing."""
    ids = {ordinary_user.UID, *range(ordinary_user.FIRST, ordinary_user.FIRST + ordinary_user.COUNT)}
    seen = traces(name, folder / "home")
    ledgers = [path.name for path in (folder / "home/.local/state/debfleet/ledgers").glob("*")]
    processes = [pid.name for pid in Path("/proc").iterdir() if pid.name.isdigit() and _owner(pid) in ids]
    found = {"traces": seen if seen != Traces() else None, "ledgers": ledgers, "processes": processes}
    return {what: there for what, there in found.items() if there}


def _owner(path: Path) -> int:
    try:
        return path.stat().st_uid
    except OSError:
        return -1


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the home of the user, whose cache fills with the first build."""
    return tmp_path_factory.mktemp("ordinary")


def test_a_user_builds_the_same_image_as_root(place: Path, tmp_path: Path) -> None:
    plugins = {"image_commands": {"commands": [["sh", "-c", ODD]]}}
    name = write_manifest(place, "small", plugins, packages=PACKAGES)
    done = run(place, "build-image", manifest=name, image_kernel="false")
    assert done.returncode == 0, done.stdout
    built = place / "home/build/small"
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (built, *built.iterdir())}
    assert owners == {(ordinary_user.UID, ordinary_user.UID)}
    wait_for(lambda: not left(place, "small"), f"nothing to be left: {left(place, 'small')}")
    roots = plays.write_manifest(tmp_path, "small", plugins, packages=PACKAGES)
    done = plays.run("build-image", tmp_path, manifest=roots, image_kernel="false")
    assert done.returncode == 0, done.stdout
    found = compare(tmp_path / "build/small", built)
    assert not found.unread
    assert (found.packages, found.added, found.removed) == ({}, [], [])
    assert {path: how for path, how in found.changed.items() if path not in OWN} == {}
    assert not found.manifest
    assert all(name.endswith("uuid") for name in found.layout)


def test_a_user_inspects_what_root_inspects(place: Path) -> None:
    told = []
    argv = ["debfleet", "image", "inspect", "--json", "build/small/disk.raw"]
    for argv_, where in ((ordinary_user.command(argv, place), Path("/")), (argv, place / "home")):
        done = subprocess.run(
            argv_, cwd=where, env=ordinary_user.environment(), text=True, capture_output=True, check=False
        )
        told.append(json.loads(done.stdout))
    assert told[0] == told[1]
    assert told[0]["ok"]


def test_a_user_enters_an_image(place: Path) -> None:
    seen = "id -u; stat -c %a:%u:%g /srv/suid; touch /usr/bin/new && echo written; ls /dev/null"
    argv = ["debfleet", "image", "shell", "build/small/disk.raw", "--", "sh", "-c", seen]
    before = (place / "home/build/small/disk.raw").stat().st_mtime_ns
    done = subprocess.run(
        ordinary_user.command(argv, place), env=ordinary_user.environment(), text=True, capture_output=True, check=False
    )
    assert done.stdout.split() == ["0", "6755:33:33", "written", "/dev/null"], done.stderr
    assert (place / "home/build/small/disk.raw").stat().st_mtime_ns == before
    wait_for(lambda: not left(place, "small"), "nothing to be left")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_build_leaves_nothing_of_any_of_the_users_ids(place: Path, number: signal.Signals) -> None:
    name = f"kill-user-{number.name.lower()}"
    home = place / "home"
    stay = ["sh", "-c", "chown 33:33 /srv && mkdir /srv/x && chown -R 33:33 /srv && exec setpriv --reuid 33 sleep 3600"]
    manifest = write_manifest(place, name, {"image_commands": {"commands": [stay]}}, packages=PACKAGES)
    with open(place / "play.log", "wb") as log:
        play = subprocess.Popen(
            command(place, "build-image", manifest=manifest, image_kernel="false"),
            env=ordinary_user.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        sub = ordinary_user.FIRST + 32  # id 33 of the image
        wait_for(lambda: _runs_as(sub) or play.poll() is not None, "the build to wait")
        assert play.poll() is None, (place / "play.log").read_text()
        play.send_signal(number)
        play.wait(plays.PATIENCE)
        wait_for(lambda: not left(place, name), f"nothing to be left: {left(place, name)}")
        assert not (home / "build" / name).exists()
        assert (home / f"build/{name}.failed.log").exists()
    finally:
        play.kill()
        play.wait()


def _runs_as(uid: int) -> bool:
    return any(_owner(pid) == uid for pid in Path("/proc").iterdir() if pid.name.isdigit())


@pytest.mark.parametrize("ids", [0, 1000])
def test_without_ids_the_command_that_gives_some_is_told(place: Path, ids: int) -> None:
    name = write_manifest(place, "no-ids", {})
    argv = ordinary_user.command(plays.command("build-image", manifest=name), place, ids=ids)
    done = subprocess.run(argv, env=ordinary_user.environment(), text=True, capture_output=True, check=False)
    assert done.returncode
    assert "sudo usermod --add-subuids " in done.stdout
    assert not left(place, "no-ids")
    assert not (place / "home/build/no-ids.failed.log").exists()


def test_what_only_root_can_do_is_refused_before_anything_is_touched(place: Path) -> None:
    partitions = {"type": "none", "root": {"size": "remaining", "filesystem": "btrfs"}}
    volume = {"backing": "raw", "size": "1GiB", "partitions": partitions}
    name = write_manifest(place, "refused", {}, volume=volume)
    done = run(place, "build-image", manifest=name, image_kernel="false")
    assert done.returncode
    assert "volume.partitions.root.filesystem: btrfs: " in done.stdout
    assert "or build as root" in done.stdout
    assert not left(place, "refused")
    assert not (place / "home/build/refused.failed.log").exists()
