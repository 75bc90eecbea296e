# SPDX-License-Identifier: GPL-3.0-or-later
"""A password that a manifest holds stands nowhere afterwards: no file, no event, no log, no command line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plays
import pytest
from counting_proxy import counting_proxy

pytestmark = [pytest.mark.slow, pytest.mark.root]

PLANTED = ("planted-one-4711", "planted-two-4712", "planted-proxy:4713", "planted-proxy%3A4713")
RUNNER = """
import json, sys
import ansible_runner
folder, playbook, extra = sys.argv[1:]
run = ansible_runner.run(
    private_data_dir=folder, playbook=playbook, extravars=json.loads(extra), verbosity=3, quiet=True
)
print(json.dumps({"rc": run.rc}))
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build through ansible-runner at -vvv, with passwords, and commands that would show them."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "runner").mkdir()
    (folder / "second").write_text(PLANTED[1] + "\n")
    (folder / "second").chmod(0o600)
    with counting_proxy("bob", PLANTED[2]) as proxy, command_lines() as seen:
        run(folder, proxy.port)
    assert proxy.served.total() > 10 and not proxy.refused
    assert any("apt-get" in line for line in seen)
    assert not [line for line in seen if any(password in line for password in PLANTED)]
    return folder


@contextlib.contextmanager
def command_lines() -> Iterator[set[str]]:
    """The command line of every process that there is meanwhile, but of those that there were before."""
    seen: set[str] = set()
    before = {entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit() and entry.name not in before:
                    with contextlib.suppress(OSError):
                        seen.add((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def run(folder: Path, port: int) -> None:
    proxy = {"address": "127.0.0.1", "port": port, "username": "bob", "password": PLANTED[2]}
    plugins: dict[str, Any] = {
        "apt_proxy": proxy,
        "admin_user": {"username": "ann", "password": PLANTED[0]},
        "root_password": {"password_file": "second"},
        "commands": {"commands": [["sh", "-c", "ps ax -o args; cat /etc/shadow; env"]]},
    }
    manifest = plays.write_manifest(folder, "secrets", plugins, bootstrapper={"tarball": True})
    extra = {"manifest": str(manifest), "image_kernel": False, "image_build_dir": str(folder / "build")}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            RUNNER,
            str(folder / "runner"),
            str(plays.ROOT / "playbooks/build-image.yml"),
            json.dumps(extra),
        ],
        env={**plays.environment(folder), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        cwd=folder,
        text=True,
        capture_output=True,
        check=False,
    )
    assert '"rc": 0' in done.stdout, done.stdout[-4000:] + done.stderr[-2000:]


def files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in found if path.name not in ("secrets.yml", "second")]


def test_no_password_stands_anywhere(build: Path) -> None:
    looked_at = files(build)
    assert any(path.name == "build.log" for path in looked_at)
    assert any("job_events" in path.parts for path in looked_at)
    for path in looked_at:
        content = path.read_bytes()
        for password in PLANTED:
            assert password.encode() not in content, path


def test_the_hashes_are_in_the_image_and_nowhere_beside_it(build: Path) -> None:
    disk = build / "build/secrets/disk.raw"
    shadow = subprocess.run(["debugfs", "-R", "cat /etc/shadow", str(disk)], capture_output=True, check=True).stdout
    hashes = [line.split(b":")[1] for line in shadow.splitlines() if line.startswith((b"root:", b"ann:"))]
    assert len(hashes) == 2
    assert all(one.startswith(b"$6$") for one in hashes)
    for path in files(build):
        if path != disk:
            content = path.read_bytes()
            assert not any(one in content for one in hashes), path


def test_phases_and_progress_reach_the_events_of_ansible_runner(build: Path) -> None:
    told = ""
    modules = 0
    for path in (build / "runner").rglob("job_events/*.json"):
        event = json.loads(path.read_text())
        told += event["stdout"] + "\n"
        if event["event"] == "runner_on_ok" and event["event_data"].get("task_action", "") in MODULES:
            modules += "skipped" not in event["event_data"]["res"]
    for number in range(1, 12):
        assert f"[{number:2}/11]" in told
    assert 10 <= modules < 15


MODULES = {path.stem for path in (plays.ROOT / "library").glob("*.py")}
