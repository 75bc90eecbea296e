# SPDX-License-Identifier: GPL-3.0-or-later
"""Every manifest for KVM, of each architecture: built, booted, and told in docs/data/boots/ how far it came.

It takes hours; `make test-architectures-full` runs it, and nothing else does: its name is none that pytest collects. A
part of it: PYTEST_ARGS='-k armhf'. Of another release than the manifests': BOOTS_RELEASE=sid.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml
from counting_proxy import counting_proxy

from debfleet import house
from debfleet.common.architectures import architecture
from debfleet.common.libvirt.image import ImageFolder
from debfleet.common.libvirt.signs import STAGES
from debfleet.docs import boots

pytestmark = [pytest.mark.slow, pytest.mark.root]
MANIFESTS = sorted(path.stem for path in (plays.ROOT / "manifests").glob("kvm-*.yml"))
RELEASE = os.environ.get("BOOTS_RELEASE", "")
PROXIED = "kvm-amd64-lab"
# What the emulators of Debian 12 don't bring to a login, and the stage that it comes to at least.
HALFWAY = {"kvm-armel": "firmware"}  # not seen to come to a login yet, on either of its boards
WAY = re.compile(r"# programs of \S+: (.+)")
STOPPED = re.compile(r"stopped in the stage ([a-z-]+): (.+)")
ADDRESS = re.compile(r"\b\w+://\S+")  # a mirror's is nobody else's business
FOLDERS = re.compile(r"(?<!\S)/\S+/")  # nor where it was tried


@pytest.fixture
def manifest(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The manifest's file, of another release where that is asked for, and with a proxy where it wants one."""
    path = plays.ROOT / "manifests" / f"{name}.yml"
    changes: dict[str, Any] = {"system": {"release": RELEASE}} if RELEASE else {}
    monkeypatch.setenv("ROOT_PASSWORD", os.urandom(9).hex())
    with counting_proxy("user", "word") as proxy:
        if name == PROXIED:
            changes["plugins"] = {"apt_proxy": {"port": proxy.port, "username": "user", "password": "word"}}
        if changes:
            changed = tmp_path / f"{name}.yml"
            changed.write_text(yaml.safe_dump({"extends": str(path), **changes}))
            path = changed
        yield path


def why(output: str) -> str:
    """Why a play failed: what its last error says, and the reason that it gives."""
    said = [line.strip() for line in output.rpartition("FAILED ")[2].splitlines()[1:]]
    reason = [line.removeprefix("why: ") for line in said if line.startswith("why: ")]
    return FOLDERS.sub("", ADDRESS.sub("the mirror", ": ".join([*said[:1], *reason[:1]])))[:200]


def way(log: Path) -> str:
    """How programs of the image's architecture ran while it was built."""
    found = WAY.search(log.read_text(encoding="utf-8", errors="replace"))
    return found[1] if found else "as they are"


def emulator(name: str) -> str:
    """An emulator with its version, as QEMU 7.2.22."""
    said = subprocess.run([architecture(name).emulator, "--version"], text=True, capture_output=True, check=True)
    return f"QEMU {said.stdout.split()[3]}"


def found(folder: Path, output: str, record: boots.Record) -> boots.Record:
    """The record with what a boot has shown."""
    serial = folder / "serial.log"
    console = serial.read_text(encoding="utf-8", errors="replace") if serial.exists() else ""
    if (folder / "proof.json").exists():
        proven: list[dict[str, Any]] = json.loads((folder / "proof.json").read_text())["boots"]
        seen = {"booted": boots.PROVEN, "seconds": proven[-1]["seconds"], "accelerator": proven[-1]["accelerator"]}
        firmware = ", ".join(boot["firmware"] for boot in proven)
        return replace(record, firmware=firmware, lines=tuple(boots.excerpt(console)), **seen)
    stopped = STOPPED.search(output)
    booted, reason = stopped.groups() if stopped else ("", why(output))
    return replace(record, booted=booted, why=reason, lines=tuple(boots.excerpt(console, stopped=True)))


@pytest.mark.parametrize("name", MANIFESTS)
def test_how_far_it_comes(name: str, manifest: Path, tmp_path: Path) -> None:
    system = {"release": "trixie", "architecture": "amd64", **_system(manifest)}
    record = boots.Record(name, system["release"], system["architecture"], time.strftime("%Y-%m-%d", time.gmtime()))
    target = house.root() / boots.FOLDER
    done = plays.run("build-image", tmp_path, manifest=manifest)
    if done.returncode:
        replace(record, why=why(done.stdout)).write(target)
        pytest.fail(done.stdout)
    (metadata,) = tmp_path.glob("build/*/metadata.json")
    told = json.loads(metadata.read_text())
    row = architecture(told["architecture"])
    record = replace(record, built=round(sum(told["seconds"].values()), 1), way=way(metadata.with_name("build.log")))
    record = replace(
        record,
        machine=ImageFolder.read(metadata.parent).machine.name,
        firmware=told["firmware"],
        emulator=emulator(row.name),
    )
    done = plays.run("boot-image", tmp_path, image=metadata.parent)
    record = found(metadata.parent, done.stdout, record)
    record.write(target)
    if record.booted != boots.PROVEN:
        assert name in HALFWAY, done.stdout
        assert STAGES.index(record.booted) >= STAGES.index(HALFWAY[name]), done.stdout


def _system(manifest: Path) -> dict[str, str]:
    """The section of a manifest, those that it extends first."""
    read = yaml.safe_load(manifest.read_text())
    before = _system(manifest.parent / read["extends"]) if "extends" in read else {}
    return {**before, **read.get("system", {})}
