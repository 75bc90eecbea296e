# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that several tests look at: each built once, whoever asks first, and by whichever worker."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import plays
import pytest


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """What builds keep for later ones, shared by all workers of a run, and nothing of it from an earlier run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "cache"
    os.environ["DEBFLEET_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder that images are built in, shared by all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "images"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def built(images: Path) -> Callable[..., Path]:
    """Give the manifest's file name in manifests/, without .yml, and extra variables; get the image's folder."""

    def build(manifest: str, **extra: str) -> Path:
        folder = images / manifest
        with open(images / f"{manifest}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                folder.mkdir()
                path = plays.ROOT / "manifests" / f"{manifest}.yml"
                done = plays.run("build-image", folder, manifest=path, **extra)
                (folder / "play.log").write_text(done.stdout)
        found = [path.parent for path in (folder / "build").glob("*/metadata.json")]
        assert found, (folder / "play.log").read_text()
        return found[0]

    return build
