# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of rollback share."""

from __future__ import annotations

from pathlib import Path

from plays import Traces, traces

IN_TREE = ("package_installation", "system_modification", "system_cleaning")
KEPT = {"tarball": True}  # the bootstrap is kept from the first build on, so that the others take seconds


def work(folder: Path) -> Path | None:
    """The work folder of the build that runs in this folder."""
    return next(iter((folder / "build").glob(".*-*")), None) if (folder / "build").exists() else None


def log_says(folder: Path, words: str) -> bool:
    there = work(folder)
    log = there / "build.log" if there else None
    return bool(log and log.exists() and words in log.read_text(errors="replace"))


def keep_an_image(folder: Path, name: str) -> None:
    """An image of an earlier build, which no failure may touch."""
    (folder / "build" / name).mkdir(parents=True)
    (folder / "build" / name / "disk.raw").write_text("the old one")
    (folder / "build" / name / "metadata.json").write_text("{}")  # what tells a build's folder from any other


def assert_nothing_happened(folder: Path, name: str) -> None:
    assert traces(name, folder) == Traces()
    assert (folder / "build" / name / "disk.raw").read_text() == "the old one"
    assert {path.name for path in (folder / "build").iterdir()} <= {name, f"{name}.failed.log"}
