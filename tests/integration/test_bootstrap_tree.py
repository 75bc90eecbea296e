# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree of trixie by library/debootstrap, packages installed into it from outside, and what is left of it all."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from local_repository import Repository, make_deb

from debfleet.common import journal, mounts
from debfleet.common.bootstrap import apt
from debfleet.common.bootstrap.resolve import resolve
from debfleet.common.bootstrap.variant import Tree
from debfleet.common.errors import DebfleetError
from debfleet.common.namespace import apart

pytestmark = [pytest.mark.slow, pytest.mark.root]
ROOT = Path(__file__).parent.parent.parent
SUITE = "trixie"
SHM = Path("/dev/shm")
CHOICE = {"include_packages": ["media-types"], "exclude_packages": ["tzdata"]}

RUN = """
import json, runpy, sys, ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1] + "/module_utils")
from ansible.module_utils.testing import patch_module_args
with patch_module_args(json.loads(sys.argv[2])):
    runpy.run_path(sys.argv[1] + "/library/debootstrap.py", run_name="__main__")
"""

POSTINST = """#!/bin/sh
set -e
/usr/sbin/policy-rc.d cron start && exit 9
test -w /dev/null
echo done > /var/fleet
"""


def module(arguments: dict[str, Any]) -> subprocess.Popen[str]:
    """Start library/debootstrap as Ansible would."""
    arguments = {name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()}
    argv = [sys.executable, "-c", RUN, str(ROOT), json.dumps(arguments)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=600)
    found: dict[str, Any] = json.loads(out[out.index("{") :])
    assert not found.get("failed"), found
    return found


def listing(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def packages(root: Path) -> dict[str, str]:
    """Installed packages and their versions."""
    status = (root / "var/lib/dpkg/status").read_text()
    return {
        match[1]: match[2]
        for stanza in status.split("\n\n")
        if "Status: install ok installed" in stanza
        and (match := re.search(r"Package: (\S+).*\nVersion: (\S+)", stanza, re.DOTALL))
    }


def in_use(root: Path) -> list[str]:
    """Mounts below the root, and processes whose command line or root names it."""
    found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(root) in line]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            words += os.readlink(process / "root")
        except OSError:
            continue
        if str(root) in words and process.name != str(os.getpid()):
            found.append(f"{process.name} {words}")
    return found


@dataclass
class Built:
    """A bootstrapped tree, its build's folder, and what the module said."""

    root: Path
    build: Path
    arguments: dict[str, Any]
    said: dict[str, Any]
    repository: Repository
    fresh: set[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory for the trees; gone at the end."""
    made = SHM / f"debfleet-test-{os.getpid()}-{tmp_path_factory.getbasetemp().name}"
    made.mkdir()
    yield made
    assert in_use(made) == []
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def built(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    work = tmp_path_factory.mktemp("work")
    repository = Repository(work / "r")
    repository.make_key()
    debs = [make_deb(work, "fleet-tool", version) for version in ("1.0", "2.0")]
    data = make_deb(work, "fleet-data", "1.0")
    repository.publish("one", [debs[0], data])
    repository.publish("two", [debs[1]])
    build = work / "build"
    build.mkdir(mode=0o700)
    arguments = {
        "root": folder / "tree",
        "suite": SUITE,
        "build": build,
        "bootstrapper": {**CHOICE, "tarball": str(work / "base.tar.gz")},
        "image_apt": {
            "include-source-type": True,
            "sources": {
                "fleet": [
                    f"deb [signed-by=/etc/apt/keyrings/test-archive.asc] {repository.uri} one main",
                    f"deb {repository.uri} two main",
                ]
            },
            "preferences": {"fleet": [{"package": "fleet-tool", "pin": "release n=one", "pin-priority": 900}]},
            "apt.conf.d": {"50fleet": 'APT::Fleet "here";'},
            "trusted-keys": [str(repository.key)],
        },
    }
    # One of the two sources names the key's path, the other trusts what apt trusts: a copy of the key for each.
    second = work / "second.asc"
    shutil.copyfile(repository.key, second)
    arguments["image_apt"]["trusted-keys"].append(str(second))  # type: ignore[index]
    said = result(module(arguments))
    yield Built(folder / "tree", build, arguments, said, repository, listing(folder / "tree"))
    repository.stop()


def test_the_tree_is_whole(built: Built) -> None:
    assert built.said["changed"] and built.said["codename"] == SUITE and built.said["tool"] == "mmdebstrap"
    assert built.said["packages"] == len(packages(built.root)) > 60
    assert {"apt", "media-types"} <= packages(built.root).keys() and "tzdata" not in packages(built.root)
    assert os.stat(built.root).st_mode & 0o7777 == 0o755


def test_it_has_what_was_resolved(built: Built) -> None:
    wanted = Tree(built.root, SUITE, "amd64", include=("media-types",), exclude=("tzdata",))
    resolved = {package.name: package.version for package in resolve(apt.Apt.load(built.build), wanted, {})}
    assert resolved == packages(built.root)


def test_nothing_of_the_builder_is_in_it(built: Built) -> None:
    for name in ("etc/resolv.conf", "etc/hostname", "etc/apt/sources.list", "usr/sbin/policy-rc.d"):
        assert name not in built.fresh
    below = {"var/lib/apt/lists": {"partial"}, "var/cache/apt": {"archives"}, "var/log/apt": set(), "tmp": set()}
    for folder, kept in below.items():
        assert {path.name for path in (built.root / folder).rglob("*")} <= kept, folder
    assert not [name for name in built.fresh if "mmdebstrap" in name]
    assert not (built.root / "etc/machine-id").exists() or not (built.root / "etc/machine-id").read_bytes()
    conf = "".join(path.read_text() for path in (built.root / "etc/apt/apt.conf.d").iterdir())
    assert "Acquire::" not in conf and str(built.build) not in conf


def test_apt_of_the_image_is_as_declared(built: Built) -> None:
    etc = built.root / "etc/apt"
    archive = (etc / "sources.list.d/debian.sources").read_text()
    assert re.findall(r"^Suites: (.*)$", archive, re.M) == [f"{SUITE} {SUITE}-updates", f"{SUITE}-security"]
    assert set(re.findall(r"^Types: (.*)$", archive, re.M)) == {"deb deb-src"}
    assert (etc / "sources.list.d/fleet.list").read_text().splitlines() == built.arguments["image_apt"]["sources"][
        "fleet"
    ]
    assert "Pin: release n=one\nPin-Priority: 900" in (etc / "preferences.d/fleet").read_text()
    assert (etc / "apt.conf.d/50fleet").read_text() == 'APT::Fleet "here";\n'
    assert (etc / "keyrings/test-archive.asc").read_bytes() == built.repository.key.read_bytes()
    assert (etc / "trusted.gpg.d/second.asc").stat().st_mode & 0o7777 == 0o644


def test_a_second_run_changes_nothing(built: Built) -> None:
    for extra in ({}, {"_ansible_check_mode": True}):
        again = result(module({**built.arguments, **extra}))
        assert (again["changed"], again["packages"]) == (False, built.said["packages"])


def test_a_kept_tarball_gives_the_same_tree(built: Built, folder: Path) -> None:
    other = {**built.arguments, "root": folder / "unpacked", "build": built.build.with_name("other")}
    Path(other["build"]).mkdir()
    said = result(module(other))
    assert (said["tool"], said["changed"]) == ("tarball", True)
    assert listing(folder / "unpacked") == built.fresh
    different = subprocess.run(
        ["diff", "-rq", "--no-dereference", "--exclude=dev", built.root, folder / "unpacked"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    assert [line for line in different.splitlines() if " is a character special file" not in line] == []
    shutil.rmtree(folder / "unpacked")


def test_check_mode_makes_nothing(built: Built, folder: Path) -> None:
    fresh = {**built.arguments, "root": folder / "never", "_ansible_check_mode": True}
    assert result(module(fresh))["changed"]
    assert not (folder / "never").exists()


def test_a_folder_of_someone_else_is_refused(built: Built, folder: Path) -> None:
    (folder / "theirs").mkdir()
    (folder / "theirs/file").write_text("mine")
    process = module({**built.arguments, "root": folder / "theirs", "build": built.build})
    out, _ = process.communicate(timeout=600)
    assert "is not empty" in out and (folder / "theirs/file").read_text() == "mine"


def test_a_tree_that_something_is_mounted_in_is_not_emptied(folder: Path) -> None:
    theirs, root = folder / "precious", folder / "mounted hére"
    (root / "dev").mkdir(parents=True)
    (root / "file").touch()
    theirs.mkdir()
    (theirs / "kept").touch()
    code = "import pathlib, sys; from debfleet.common import mounts; mounts.empty(pathlib.Path(sys.argv[1]))"
    mount = 'mount --bind "$1" "$2/dev" && exec "$3" -c "$4" "$2"'
    argv = [*apart(["sh", "-c", mount, "sh", theirs, root, sys.executable, code])]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode and f"{root}/dev" in done.stderr and "something is mounted in it" in done.stderr
    assert (theirs / "kept").exists() and (root / "file").exists()
    mounts.empty(root)
    assert list(root.iterdir()) == [] and (theirs / "kept").exists()


@pytest.fixture
def copy(built: Built, folder: Path) -> Iterator[Path]:
    """A copy of the tree, to change."""
    made = folder / "copy"
    subprocess.run(["cp", "-a", "--reflink=auto", built.root, made], check=True)
    yield made
    assert in_use(made) == []
    shutil.rmtree(made)


def test_packages_by_name_pin_suite_version_and_file(built: Built, copy: Path, tmp_path: Path) -> None:
    before = listing(copy)
    local = make_deb(
        tmp_path, "fleet-local", "3.0", fields={"Depends": "fleet-data"},
        postinst=POSTINST,
    )  # fmt: skip
    done = apt.install(copy, ["fleet-tool", str(local)], build=built.build)
    assert packages(copy)["fleet-tool"] == "1.0", "the pin holds"
    assert {"fleet-local", "fleet-data"} <= packages(copy).keys() and (copy / "var/fleet").read_text() == "done\n"
    assert done.count == built.said["packages"] + 3
    assert apt.install(copy, ["fleet-tool/two"], build=built.build).count == done.count
    assert packages(copy)["fleet-tool"] == "2.0"
    left = {name for name in listing(copy) - before if "fleet" not in name}
    assert left <= {"var/log/dpkg.log", "var/log/apt", "var/lib/apt/extended_states", "var/lib/dpkg/lock"}


def test_a_failing_installation_says_why(built: Built, copy: Path, tmp_path: Path) -> None:
    bad = make_deb(tmp_path, "fleet-bad", "1.0", postinst="#!/bin/sh\necho no luck >&2\nexit 7\n")
    with pytest.raises(DebfleetError, match="fleet-bad") as caught:
        apt.install(copy, [str(bad)], build=built.build)
    assert "no luck" in caught.value.why and "exit status 7" in caught.value.why
    with pytest.raises(DebfleetError, match="Unable to locate package fleet-nowhere"):
        apt.install(copy, ["fleet-nowhere"], build=built.build)


def test_no_initramfs_is_made_by_an_installation(built: Built, copy: Path) -> None:
    with journal.writing(built.build):
        apt.install(copy, ["linux-image-cloud-amd64", "initramfs-tools"], build=built.build)
    boot = {path.name.partition("-")[0] for path in (copy / "boot").iterdir()}
    assert "vmlinuz" in boot and "initrd.img" not in boot
    progress = [json.loads(line) for line in (built.build / journal.PROGRESS).read_text().splitlines()]
    shares = [note["done"] for note in progress if note["what"].startswith("installing packages")]
    assert len(shares) > 3 and all(0 <= share <= 100 for share in shares)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_bootstrap_leaves_no_process_and_no_mount(
    built: Built, folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    arguments = {**built.arguments, "root": folder / "killed", "build": tmp_path, "bootstrapper": {}}
    process = module(arguments)
    log, until = tmp_path / journal.LOG, time.monotonic() + 300
    while not (log.exists() and "I: installing essential packages" in log.read_text()):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    assert in_use(folder / "killed")
    process.send_signal(number)
    process.communicate(timeout=60)
    while in_use(folder / "killed") and time.monotonic() < until:
        time.sleep(0.1)
    assert in_use(folder / "killed") == []
    if number == signal.SIGTERM:
        assert list((folder / "killed").iterdir()) == []
    else:
        arguments["bootstrapper"] = built.arguments["bootstrapper"]
        assert result(module(arguments))["tool"] == "tarball", "what it left is no hindrance"
    shutil.rmtree(folder / "killed")


def test_debootstrap_makes_an_equal_tree(built: Built, folder: Path, tmp_path: Path) -> None:
    wish = {"tool": "debootstrap", **CHOICE}
    said = result(module({**built.arguments, "root": folder / "d", "build": tmp_path, "bootstrapper": wish}))
    assert (said["tool"], said["packages"]) == ("debootstrap", built.said["packages"])
    assert packages(folder / "d") == packages(built.root)
    ours = re.compile(
        r"var/lib/(apt/extended_states|dpkg/(arch|available|cmethopt|.*-old|lock.*|triggers/.*))|dev/|etc/localtime$"
    )
    other = {name for name in listing(folder / "d") ^ built.fresh if not ours.match(name)}
    assert other == set()
    shutil.rmtree(folder / "d")
