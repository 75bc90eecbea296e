# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains in a real libvirt: every machine that Debian has an emulator of; and the life of one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ordinary_user
import plays
import pytest

from debfleet.common.architectures import TABLE, Architecture, MachineType
from debfleet.common.errors import DebfleetError
from debfleet.common.libvirt import compare, preflight, request
from debfleet.common.libvirt.daemon import connected, library
from debfleet.common.libvirt.domain_xml import domain_xml
from debfleet.common.libvirt.managed import Wish, ensure

pytestmark = [pytest.mark.slow, pytest.mark.root]
KINDS = [
    (row, kind, name) for row in TABLE.values() for kind in row.machine_types for name in kind.firmware or ["direct"]
]
NAME = f"tëst <{os.getpid()}> & 'Co' "


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    with connected("qemu:///system") as made:
        yield made


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "ein Bild, ümlaut & <mehr>.raw"
    with open(path, "wb") as file:
        file.truncate(1 << 20)
    return path


@pytest.mark.parametrize(("row", "kind", "firmware"), KINDS, ids=lambda one: getattr(one, "name", str(one)))
def test_each_machine_is_defined_and_begins(
    connection: Any, disk: Path, tmp_path: Path, row: Architecture, kind: MachineType, firmware: str
) -> None:
    """Halted before its first instruction: QEMU takes every word, and libvirt keeps what is ours."""
    if shutil.which(row.emulator) is None:
        pytest.skip(f"{row.emulator} is not installed")
    libvirt = library()
    kernel: dict[str, Any] = {}
    if firmware == "direct":
        (tmp_path / "vmlinuz").write_bytes(bytes(4096))
        kernel = {"kernel": tmp_path / "vmlinuz"}
    options = {"name": f"{NAME}{row.name}{kind.name}{firmware}", "image": disk, "firmware": firmware, **kernel}
    options |= {"architecture": row.name, "machine": kind.name, "accelerator": "tcg", "serial": tmp_path / "s & ö.log"}
    options["disks"] = [{"path": disk.with_name("seed, <1>.iso"), "format": "raw", "readonly": True}]
    options["disks"][0]["path"].write_bytes(bytes(1 << 20))
    machine = request.machine({**options, "memory": None if kind.memory else 128})
    machine = replace(machine, variables=tmp_path / "variables.fd")
    preflight.check(machine, starts=False)
    wanted = compare.parse(domain_xml(machine))
    handle = connection.defineXMLFlags(domain_xml(machine), libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    try:
        kept = compare.parse(handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        assert compare.reduced(kept, wanted, [kind.family]) == compare.written(wanted)
        handle.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        assert handle.isActive()
        handle.destroy()
    finally:
        handle.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM)


@pytest.fixture
def wish(tmp_path: Path, disk: Path) -> Iterator[Wish]:
    """A domain of an empty disk, removed at the end whatever became of it."""
    options = {"image": str(disk), "accelerator": "tcg", "memory": 128, "forwards": [{"guest": 22}]}
    made = Wish(NAME, "running", options, uri="qemu:///system", folder=tmp_path / "own", timeout=1,
                seed={"user_data": "#cloud-config\n"})  # fmt: skip
    yield made
    with contextlib.suppress(DebfleetError):
        ensure(replace(made, state="absent"), check=False)


def port_of(result: dict[str, Any]) -> int:
    return int(result["domain"]["forwards"][0]["host"])


def test_the_life_of_a_domain(wish: Wish, connection: Any) -> None:
    planned = ensure(wish, check=True)
    assert planned["changed"] and not wish.own.exists()
    first = ensure(wish, check=False)
    assert (first["changed"], first["pending"], first["domain"]["state"]) == (True, False, "running")
    assert first["diff"]["before"] == "" and "<vcpu>1</vcpu>" in first["diff"]["after"]
    with socket.create_connection(("127.0.0.1", port_of(first)), 5):
        pass  # QEMU listens there
    again = ensure(wish, check=False)
    assert not again["changed"] and again["diff"]["before"] == again["diff"]["after"]
    assert port_of(again) == port_of(first)

    other = replace(wish, options={**wish.options, "memory": 160})
    changed = ensure(other, check=False)
    assert changed["changed"] and changed["pending"]
    assert ('<memory unit="KiB">131072</memory>' in changed["diff"]["before"]) and "163840" in changed["diff"]["after"]
    assert not ensure(other, check=False)["changed"]
    reseeded = replace(other, seed={"user_data": "#cloud-config\nhostname: b\n"})
    assert ensure(reseeded, check=False)["changed"] and not ensure(reseeded, check=False)["changed"]

    stopped = ensure(replace(reseeded, state="stopped"), check=False)
    assert (stopped["changed"], stopped["domain"]["state"]) == (True, "stopped")
    assert not ensure(replace(reseeded, state="defined"), check=False)["changed"]
    assert connection.lookupByName(wish.name).isActive() == 0
    assert ensure(replace(reseeded, state="running"), check=False)["domain"]["state"] == "running"

    gone = ensure(replace(wish, state="absent"), check=False)
    assert gone["changed"] and gone["diff"]["after"] == "" and not wish.own.exists()
    assert not ensure(replace(wish, state="absent"), check=False)["changed"]


def test_a_port_in_use_is_told_before_anything_is_made(wish: Wish) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        forwards = [{"guest": 22, "host": taken.getsockname()[1]}]
        with pytest.raises(DebfleetError, match="is in use"):
            ensure(replace(wish, options={**wish.options, "forwards": forwards}), check=False)
    assert not wish.own.exists()


def test_a_start_that_fails_leaves_no_files_of_a_domain_that_there_is_not(wish: Wish) -> None:
    with pytest.raises(DebfleetError, match="could not define"):
        ensure(replace(wish, options={**wish.options, "uuid": "no uuid"}), check=False)
    assert not wish.own.exists()


def test_somebody_elses_domain_is_left_alone(wish: Wish, connection: Any) -> None:
    name = f"other-{os.getpid()}"
    xml = f"<domain type='qemu'><name>{name}</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    handle = connection.defineXML(xml)
    try:
        for state in ("running", "stopped", "defined", "absent"):
            with pytest.raises(DebfleetError, match="not one of debfleet's"):
                ensure(replace(wish, name=name, state=state), check=False)
        assert handle.isPersistent() and not wish.own.exists()
    finally:
        handle.undefine()


def test_a_disk_of_an_image_that_was_built_anew_is_refused(wish: Wish, tmp_path: Path) -> None:
    folder = tmp_path / "build"
    folder.mkdir()
    (folder / "disk.raw").write_bytes(bytes(1 << 20))
    (folder / "manifest.json").write_text(json.dumps({"name": "small", "system": {"architecture": "amd64"}}))

    def built(digest: str) -> Wish:
        (folder / "metadata.json").write_text(json.dumps({"file": "disk.raw", "sha256": digest}))
        return replace(wish, state="defined", options={**wish.options, "image": str(folder)})

    assert ensure(built("1" * 64), check=False)["changed"]
    with pytest.raises(DebfleetError, match="begun on another image"):
        ensure(built("2" * 64), check=False)


def test_by_ansible_with_check_and_diff(wish: Wish, tmp_path: Path) -> None:
    arguments = {"name": wish.name, "state": "defined", "uri": wish.uri, "folder": str(wish.own), **wish.options}
    command = [
        str(Path(sys.executable).parent / "ansible"),
        "localhost",
        "-m",
        "libvirt_domain",
        "-a",
        json.dumps(arguments),
    ]

    def said(*words: str) -> str:
        return subprocess.run(
            [*command, *words],
            cwd=plays.ROOT,
            env=plays.environment(tmp_path),
            text=True,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        ).stdout

    assert "+  <memory" in said("--check", "--diff") and not wish.own.exists()
    assert "changed: true" in said()
    assert "changed: false" in said()


def test_an_ordinary_user_has_domains_too(tmp_path: Path) -> None:
    """By the session's libvirt, which begins by itself."""
    script = (
        "import json, sys; from pathlib import Path\n"
        "from debfleet.common.libvirt.managed import Wish, ensure\n"
        "disk = Path.home() / 'd.raw'; disk.write_bytes(bytes(1 << 20))\n"
        "def make(state):\n"
        "    options = {'image': str(disk), 'accelerator': 'tcg', 'memory': 128, 'forwards': [{'guest': 22}]}\n"
        "    done = ensure(Wish('mine', state, options), check=False)\n"
        "    return done['changed'], done['domain']['state']\n"
        "print(json.dumps([make('running'), make('running'), make('absent')]))\n"
    )
    began = time.monotonic()
    words = ordinary_user.command([sys.executable, "-c", script], tmp_path)
    done = subprocess.run(words, text=True, capture_output=True, check=False, env=ordinary_user.environment())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[True, "running"], [False, "running"], [True, "absent"]]
    assert time.monotonic() - began < 300
