# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree of another architecture: by native tools it is what it is when all is emulated, and nothing of them stays."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from foreign_trees import differences, mentions

from debfleet.common import journal
from debfleet.common.architectures import architecture
from debfleet.common.binfmt import programs, registration
from debfleet.common.bootstrap import apt
from debfleet.common.foreign import decide, dispatcher
from debfleet.common.namespace import run_in_root

pytestmark = [pytest.mark.slow, pytest.mark.root]
ROOT = Path(__file__).parent.parent.parent
SUITE, ARCHITECTURE = "bookworm", "armhf"
ROW = architecture(ARCHITECTURE)
MORE = ["adduser", "python3-minimal", "openssl", "libcap2-bin", "install-info"]
WAYS = ("private", "emulated")

RUN = """
import json, runpy, sys, ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1] + "/module_utils")
from ansible.module_utils.testing import patch_module_args
with patch_module_args(json.loads(sys.argv[2])):
    runpy.run_path(sys.argv[1] + "/library/debootstrap.py", run_name="__main__")
"""


@dataclass(frozen=True)
class Made:
    """A tree, the folder of its build, and what the module said."""

    root: Path
    build: Path
    said: dict[str, Any]

    @property
    def log(self) -> str:
        """The build's log."""
        return (self.build / journal.LOG).read_text(encoding="utf-8", errors="replace")


def bootstrap(folder: Path, way: str, **more: Any) -> Made:
    """Run library/debootstrap, and install further packages."""
    root, build = folder / way, folder / f"{way}.work"
    arguments = {"root": str(root), "suite": SUITE, "architecture": ARCHITECTURE, "foreign": way, **more}
    arguments |= {"build": str(build), "bootstrapper": {"variant": "essential"}}
    build.mkdir(mode=0o700)
    argv = [sys.executable, "-c", RUN, str(ROOT), json.dumps(arguments)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        out, _ = process.communicate(timeout=1800)
    said = json.loads(out[out.index("{") :])
    assert not said.get("failed"), out
    made = Made(root, build, said)
    with journal.writing(str(build)):
        apt.install(root, MORE, build=build)
    return made


def both(folder: Path) -> dict[str, Made]:
    """A tree by each way, at the same time."""
    with ThreadPoolExecutor() as several:
        return dict(zip(WAYS, several.map(lambda way: bootstrap(folder, way), WAYS), strict=True))


@pytest.fixture(scope="module")
def trees() -> Iterator[dict[str, Made]]:
    """The two trees, in memory."""
    row = architecture(ARCHITECTURE)
    emulator = programs.find(row)
    if emulator is None:
        pytest.skip(f"{row.qemu_user} is not installed")
    if why := decide.private_trouble(row, emulator):
        pytest.skip(f"no binfmt_misc of one's own: {why}")
    folder = Path(tempfile.mkdtemp(prefix=f"debfleet-test-{os.getpid()}-", dir="/dev/shm"))
    try:
        yield both(folder)
    finally:
        shutil.rmtree(folder)


def test_the_trees_are_equal(trees: dict[str, Made]) -> None:
    native, emulated = trees["private"], trees["emulated"]
    status = [(made.root / "var/lib/dpkg/status").read_bytes() for made in (native, emulated)]
    assert status[0] == status[1]
    assert differences(native.root, emulated.root) == []


def test_nothing_of_the_tools_stays(trees: dict[str, Made]) -> None:
    assert mentions(trees["private"].root, b"/.native") == []
    assert list((trees["private"].root / "run").iterdir()) == [trees["private"].root / "run/lock"]


def test_each_way_is_told(trees: dict[str, Made]) -> None:
    native, emulated = trees["private"], trees["emulated"]
    assert native.said["foreign"] == "native tools, by a registration of the build's own"
    assert "programs are native, from " in native.log and "programs are native" not in emulated.log
    assert emulated.said["foreign"].startswith("emulated")


def test_programs_of_the_tree_run_natively(trees: dict[str, Made]) -> None:
    root = trees["private"].root

    def seen(*argv: str) -> str:
        return run_in_root(root, list(argv)).stdout.strip()

    assert seen("readlink", "/proc/self/exe").startswith(programs.NATIVE)
    assert seen("dpkg", "--print-architecture") == ARCHITECTURE
    assert seen("uname", "-m") in ROW.uname
    assert seen("perl", "-MPOSIX", "-e", "print POSIX::floor(2.5)") == "2"
    assert ROW.triplet in seen("perl", "-MConfig", "-e", "print $Config{archname}")
    assert seen("python3", "-c", "import sys; print(sys.maxsize > 2**32)") == "False"
    assert run_in_root(trees["emulated"].root, ["uname", "-m"]).stdout.strip() in ROW.uname


def test_an_old_kernel_takes_what_the_machine_has(
    trees: dict[str, Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = trees["private"].build
    wish = decide.Wish(build, SUITE, "auto", apt.Apt.load(build), lambda _: pytest.fail("the tools are there"))
    monkeypatch.setattr(programs.Programs, "save", lambda *_: None)
    monkeypatch.setattr(decide, "lay_out", lambda *_, **__: 7)
    monkeypatch.setattr(decide, "private_trouble", lambda *_: "this kernel has none")
    ours = registration.Registered("ours", f"/x/{dispatcher.NAME}-{ROW.qemu_user}", "PF")
    monkeypatch.setattr(registration, "registered", lambda _row: ours)
    assert decide.prepare(ROW, wish) == "native tools, by this machine's registration ours"


def test_the_dispatcher_as_the_machine_would_register_it(trees: dict[str, Made], tmp_path: Path) -> None:
    """In a binfmt_misc that stands for the machine's: its tree has the tools bound, another one is emulated."""
    name = tmp_path / f"{dispatcher.NAME}-{ROW.qemu_user}"
    shutil.copy2(dispatcher.program(), name)
    line = registration.line(ROW, name)
    found = programs.decided(trees["private"].build)
    assert found
    for binds, native in ((found.binds, True), ({}, False)):
        programs.Programs(ARCHITECTURE, line, binds).save(trees["private"].build)
        exe = run_in_root(trees["private"].root, ["readlink", "/proc/self/exe"], check=False)
        if native:
            assert exe.stdout.startswith(programs.NATIVE)
        else:  # the tree has no emulator, and this one is not in it
            assert exe.returncode and "could not be emulated" in exe.stderr
    found.save(trees["private"].build)
