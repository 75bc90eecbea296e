# SPDX-License-Identifier: GPL-3.0-or-later
"""Clean and uninstall, in a copy of the clone and by a user who owns nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from debfleet.common.process import Process

ROOT = Path(__file__).parents[2]
NOBODY = 65534
pytestmark = pytest.mark.root  # to become nobody


@pytest.fixture
def clone() -> Iterator[Path]:
    """A clone of nobody's, set up and used; its home is beside it."""
    with tempfile.TemporaryDirectory(prefix="debfleet-uninstall-") as folder:
        top = Path(folder)
        place = top / "clone"
        for part in ("scripts", "src", "module_utils"):
            shutil.copytree(ROOT / part, place / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "Makefile", place)
        for made in (
            ".venv/bin/x",
            "build/mine/disk.raw",
            "dist/x.whl",
            ".mypy_cache/x",
            "src/debfleet/__pycache__/x.pyc",
        ):
            (place / made).parent.mkdir(parents=True)
            (place / made).touch()
        for made in ("home/.cache/debfleet/bases/x", "home/.cache/other/x", "home/.local/state/debfleet/locks/x"):
            (top / made).parent.mkdir(parents=True)
            (top / made).touch()
        top.chmod(0o755)
        for path in [top, *top.rglob("*")]:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        yield place


def make(target: str, clone: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "make", target],
        cwd=clone,
        env={"HOME": str(clone.parent / "home"), "PATH": "/usr/bin:/bin"},
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )


def hold(clone: Path, owner: Process) -> Path:
    ledger = clone.parent / "home/.local/state/debfleet/ledgers/mine.json"
    ledger.parent.mkdir()
    ledger.write_text(json.dumps({"schema_version": 1, "owner": asdict(owner), "held": []}))
    for path in (ledger.parent, ledger):
        os.chown(path, NOBODY, NOBODY)
    return ledger


def there(clone: Path, *names: str) -> list[str]:
    return [name for name in names if (clone / name).exists()]


OURS = ("../home/.cache/debfleet", "../home/.local/state/debfleet", ".venv")
LEFT = ("dist", ".mypy_cache", "src/debfleet/__pycache__")
THEIRS = ["build/mine/disk.raw", "../home/.cache/other/x", "src/debfleet/__init__.py", "Makefile"]


def test_clean_removes_what_tools_left(clone: Path) -> None:
    done = make("clean", clone)
    assert done.returncode == 0, done.stderr
    assert there(clone, *LEFT) == []
    assert there(clone, *OURS) == list(OURS)
    assert there(clone, *THEIRS) == THEIRS


def test_uninstall_removes_what_is_ours(clone: Path) -> None:
    hold(clone, Process(1, 1))  # of a process that is gone
    done = make("uninstall", clone)
    assert done.returncode == 0, done.stderr
    assert there(clone, *LEFT, *OURS) == []
    assert there(clone, *THEIRS) == THEIRS
    assert "apt-get remove" in done.stdout
    assert "mmdebstrap" in done.stdout
    again = make("uninstall", clone)
    assert again.returncode == 0, again.stderr


def test_uninstall_leaves_a_running_build_alone(clone: Path) -> None:
    ledger = hold(clone, Process.of(os.getpid()))
    done = make("uninstall", clone)
    assert done.returncode == 2
    assert "mine" in done.stderr
    assert ledger.exists()
    assert there(clone, *OURS) == list(OURS)
