# SPDX-License-Identifier: GPL-3.0-or-later
"""Running debfleet's playbooks as a user would, and seeing what they leave on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PATIENCE = 900  # seconds until a wait gives up


def command(playbook: str, **extra: Any) -> list[str]:
    """The command line of a playbook with its extra variables."""
    variables = [word for name, value in extra.items() for word in ("-e", f"{name}={value}")]
    return [
        str(Path(sys.executable).parent / "ansible-playbook"),
        str(ROOT / "playbooks" / f"{playbook}.yml"),
        *variables,
    ]


def environment(folder: Path) -> dict[str, str]:
    """The tests' environment; Ansible's own files lie in the test's folder."""
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / ".ansible"),
        "NO_COLOR": "1",
    }


def run(playbook: str, folder: Path, *words: str, **extra: Any) -> subprocess.CompletedProcess[str]:
    """Run a playbook to its end in this folder; its output is in `stdout`."""
    return subprocess.run(
        [*command(playbook, **extra), *words],
        cwd=folder,
        env=environment(folder),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def start(playbook: str, folder: Path, **extra: Any) -> subprocess.Popen[bytes]:
    """Start a playbook in this folder, in a process group of its own; its output goes to play.log there."""
    with open(folder / "play.log", "wb") as log:
        return subprocess.Popen(
            command(playbook, **extra),
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until it holds."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.1)


def write_manifest(folder: Path, name: str, plugins: dict[str, Any], **other: Any) -> Path:
    """A small image without a kernel and a partition map, so that a build takes seconds."""
    manifest = {
        "name": name,
        "provider": {"name": "kvm"},
        "bootstrapper": {"workspace": None, **other.pop("bootstrapper", {})},
        "system": {"release": "bookworm", "architecture": "amd64", "bootloader": "none", "locale": "C"},
        "volume": {
            "backing": "raw",
            "size": "1GiB",
            "partitions": {"type": "none", "root": {"size": "remaining", "filesystem": "ext4"}},
        },
        "plugins": plugins,
        "plugin_paths": [str(ROOT / "tests/data/plugins")],
        **other,
    }
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump(manifest))
    return path


def mentions(name: str, lines: Sequence[str]) -> list[str]:
    """The lines that speak of a build."""
    return [line for line in lines if name in line]


@dataclass(frozen=True)
class Traces:
    """What of a build is on the machine; equal to `Traces()` when there is nothing."""

    mounts: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    memory: list[str] = field(default_factory=list)
    ledgers: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def traces(name: str, folder: Path) -> Traces:
    """What the build `name`, working below `folder`, has on the machine; its images and its failed log do not count."""
    build = folder / "build"
    loops = subprocess.run(["losetup", "--all", "--raw", "--noheadings"], text=True, capture_output=True, check=True)
    return Traces(
        mounts=mentions(name, Path("/proc/self/mountinfo").read_text().splitlines()),
        loops=mentions(name, loops.stdout.splitlines()),
        processes=_processes(name),
        memory=mentions(name, [path.name for path in Path("/dev/shm").iterdir()]),
        ledgers=mentions(name, [path.name for path in Path("/var/lib/debfleet/ledgers").glob("*")]),
        files=sorted(path.name for path in build.glob(".*")) if build.exists() else [],
    )


def _processes(name: str) -> list[str]:
    """Processes with the build in their environment, command line or root; not the tests' own.

    A module is a fork of Ansible's worker: its command line is that of the play, which names the manifest.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = (
                (entry / "environ").read_bytes()
                + (entry / "cmdline").read_bytes()
                + os.readlink(entry / "root").encode()
            )
        except OSError:
            continue
        ours = f"debfleet-{name}", f"/{name}.yml"
        if b"DEBFLEET_BUILD=" in told and name.encode() in told or any(word.encode() in told for word in ours):
            found.append(f"{entry.name} {told[-200:]!r}")
    return found
