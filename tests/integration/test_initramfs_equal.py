# SPDX-License-Identifier: GPL-3.0-or-later
"""An initramfs generated with faster functions is the same as by the image's own, and nothing of them stays."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from debfleet.common import journal, kernels
from debfleet.common.bases.lineage import REUSE
from debfleet.common.bases.stamp import Stamp
from debfleet.common.bootstrap import mirror
from debfleet.common.initramfs import kept
from debfleet.common.initramfs.generate import HOOK_FUNCTIONS, generate
from debfleet.common.namespace import apart
from debfleet.common.run import run

pytestmark = [pytest.mark.slow, pytest.mark.root]
TOOLS = ["bash", "coreutils", "dash", "debianutils", "dpkg", "findutils", "grep", "gzip", "libc-bin", "perl-base"]
TOOLS += ["base-files", "busybox", "kmod", "sed", "udev", "util-linux", "zstd"]
FASTER = {"bookworm": {"copy_file", "copy_exec", "manual_add_modules"}, "trixie": {"copy_file", "copy_exec"}}
FIRMWARE = "comedi/jr3pci.idm"  # asked for by the module jr3_pci
HOOK = """#!/bin/sh
[ "$1" = prereqs ] && exit
. /usr/share/initramfs-tools/hook-functions
copy_file text /etc//debian_version /odd/./place/
copy_file text /etc/linked/deep/file
copy_file text /etc/linked/deep/file /elsewhere
copy_exec /usr/bin/perl /bin
copy_exec /bin/sh /usr/local/bin/other
manual_add_modules loop
force_load nbd nbds_max=2
"""


@pytest.fixture(scope="module")
def newc(repo: Path) -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(repo / "benchmarks")
        import newc

        yield newc
        del sys.modules["newc"]


@pytest.fixture(params=FASTER)
def tree(request: pytest.FixtureRequest) -> Iterator[Path]:
    """What an initramfs is generated from, unpacked but not configured; with much that is out of the ordinary in it."""
    suite = request.param
    settings = mirror.read_builder()
    source = mirror.plan(mirror.Wish(suite), settings, mirror.tool_default(suite, ["main"])).needed
    include = ",".join(["linux-image-cloud-amd64", "initramfs-tools", *TOOLS])
    words = [f"--include={include}", *(f"--aptopt={line}" for line in settings.settings)]
    merged = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"
    root = Path(tempfile.mkdtemp(prefix=f"debfleet-test-{os.getpid()}-", dir="/dev/shm"))
    try:
        run(apart(["mmdebstrap", "--variant=extract", merged, *words, suite, root, source.line()]))
        out_of_the_ordinary(root)
        yield root
    finally:
        shutil.rmtree(root)


def out_of_the_ordinary(root: Path) -> None:
    """Links on the way to files, firmware and modules; paths that aren't clean; modules asked for by name."""
    (root / "etc/real/deep").mkdir(parents=True)
    (root / "etc/real/deep/target").write_text("deep")
    (root / "etc/real/deep/file").symlink_to("target")
    (root / "etc/linked").symlink_to("real")
    firmware = root / "usr/lib/firmware" / FIRMWARE
    firmware.parent.mkdir(parents=True)
    firmware.symlink_to("newer.idm")
    firmware.with_name("newer.idm").write_text("firmware")
    (root / "etc/initramfs-tools/modules").write_text("# by name\njr3_pci\nvirtio_blk\n")
    hook = root / "etc/initramfs-tools/hooks/odd"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    (xfs,) = root.glob("usr/lib/modules/*/kernel/fs/xfs/xfs.ko*")
    xfs.rename(root / "usr/lib" / xfs.name)
    xfs.symlink_to(f"/usr/lib/{xfs.name}")


def listing(root: Path) -> dict[str, tuple[int, str]]:
    """Every file but the initramfs: its mode, and the hash of the functions."""
    functions = hashlib.sha256((root / HOOK_FUNCTIONS.lstrip("/")).read_bytes()).hexdigest()
    paths = [path for path in root.rglob("*") if not path.name.startswith("initrd.img")]
    return {str(path.relative_to(root)): (path.lstat().st_mode, functions) for path in paths}


def test_faster_functions_give_the_same_initramfs(
    tree: Path, newc: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (version,) = map(kernels.version, kernels.within(tree))
    made = tree / f"boot/initrd.img-{version}"
    assert generate(tree, faster=False) == [version]
    stock = newc.members(made)
    made.unlink()
    before = listing(tree)
    with journal.writing(tmp_path):
        assert generate(tree) == [version]
    assert newc.members(made) == stock
    assert listing(tree) == before, "what was lent stays nowhere"
    log = (tmp_path / journal.LOG).read_text()
    suite = "bookworm" if version.startswith("6.1.") else "trixie"
    assert f"functions faster for this build: {', '.join(name for name in ORDER if name in FASTER[suite])}\n" in log
    names = {name.partition("/modules/")[2].partition("/")[2] or name for _, name in stock}
    assert {f"usr/lib/firmware/{FIRMWARE}", "odd/place/debian_version", "etc/linked/deep/file"} <= names
    assert {"jr3_pci", "nbd", "loop", "xfs"} <= {Path(name).name.partition(".")[0] for name in names}
    (tree / "etc/initramfs-tools/hooks/odd").unlink()
    kept_is_as_fresh(tree, newc, tmp_path, monkeypatch)


def kept_is_as_fresh(tree: Path, newc: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that an earlier build kept is as one that is generated now, whatever changed of what is not looked at."""
    monkeypatch.setenv("DEBFLEET_CACHE", str(folder / "cache"))
    (version,) = map(kernels.version, kernels.within(tree))
    made = tree / f"boot/initrd.img-{version}"
    others = [tree / name if not (tree / name).is_dir() else tree / name / "new" for name in kept.OTHERS]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
    with journal.writing(folder):
        for text in ("of one build", "of another build"):
            made.unlink(missing_ok=True)
            Stamp.take(folder, tree, "packages")
            for path in others:
                path.unlink(missing_ok=True)
                path.write_text(text)
            kept.bring(folder, tree)
        reused = newc.members(made)
        made.unlink()
        generate(tree)
    assert [json.loads(line)["reused"] for line in (folder / REUSE).read_text().splitlines()] == [False, True]
    assert newc.members(made) == reused


ORDER = ("copy_file", "copy_exec", "manual_add_modules")
