# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an initramfs takes with the faster functions that a build lends, beside the image's own.

    make bench-initramfs                   # .venv/bin/python benchmarks/initramfs.py [ROUNDS]

For each release that they were checked with; what comes out is compared in each round. Prints a table and writes
build/.bench/initramfs.json. Needs root, and memory for three trees in /dev/shm.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import floor
import harness
from harness import Look, Subject
from newc import Member, members

from debfleet.common import kernels
from debfleet.common.initramfs.generate import generate
from debfleet.common.namespace import apart
from debfleet.common.run import raise_on_signals, run

# Each release's goal: how long ours may take beside stock. From 0.148 on initramfs-tools has dracut-install, a program,
# copy the modules: there is less to gain.
GOALS = {"bookworm": 0.5, "trixie": 1.0, "sid": 1.0}
PACKAGES = ["linux-image-cloud-amd64", "initramfs-tools", "zstd", "kmod", "udev"]
OURS, STOCK = "faster", "stock"


@dataclass
class Tree:
    """A tree with a kernel, and what the first initramfs made in it had."""

    root: Path
    seen: Mapping[tuple[int, str], Member] = field(default_factory=dict)

    @property
    def initramfs(self) -> Path:
        """Where it is generated."""
        (kernel,) = kernels.within(self.root)
        return self.root / "boot" / kernels.initrd(kernel)

    def look(self, _folder: Path) -> Look:
        """Its members, which must be those of every other that this tree had; it is removed, to be made anew."""
        found = members(self.initramfs)
        self.initramfs.unlink()
        self.seen = self.seen or found
        if differ := sorted(name for _, name in {key for key, _ in dict(found).items() ^ dict(self.seen).items()}):
            sys.exit(f"{self.root}: these differ, so it can't be compared: {', '.join(differ)}")
        return Look(counts={"members": len(found)})


def make_tree(suite: str, folder: Path) -> Tree:
    """A small tree with a kernel."""
    folder.mkdir()
    run(apart(floor.mmdebstrap(folder, suite, PACKAGES)), env={"INITRD": "No"})
    return Tree(folder / "tree")


def subjects(suite: str, tree: Tree) -> list[Subject]:
    """Both ways for a release."""
    admindir = f"--admindir={tree.root}/var/lib/dpkg"
    version = run(["dpkg-query", admindir, "--showformat=${Version}", "--show", "initramfs-tools"]).stdout
    tool = f"initramfs-tools {version}"
    return [
        Subject(f"{suite}, {STOCK}", lambda _: generate(tree.root, faster=False), tree.look, tool),
        Subject(f"{suite}, {OURS}", lambda _: generate(tree.root), tree.look, tool),
    ]


def main() -> None:
    """Measure, print, write."""
    raise_on_signals()
    rounds = harness.begin("mmdebstrap", "zstd")
    with harness.scratch() as folder:
        found = [one for suite in GOALS for one in subjects(suite, make_tree(suite, folder / suite))]
        measured = harness.interleaved(found, rounds)
    ratios = {
        f"{suite}, {OURS} ÷ {STOCK}": harness.ratio(measured[f"{suite}, {OURS}"], measured[f"{suite}, {STOCK}"], goal)
        for suite, goal in GOALS.items()
    }
    harness.tell(harness.document("initramfs", measured, ratios, {}))


if __name__ == "__main__":
    main()
