# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a tree takes beside plain mmdebstrap, which is the floor, and how long resolving takes.

    make bench-bootstrap                   # .venv/bin/python benchmarks/bootstrap.py [ROUNDS]

Prints a table and writes build/.bench/bootstrap.json. Needs root, and memory for a tree in /dev/shm.
"""

from __future__ import annotations

from pathlib import Path

import floor
import harness
from harness import Subject

from debfleet.common.bootstrap import apt, mirror, resolve, tree
from debfleet.common.bootstrap.image import ImageApt
from debfleet.common.bootstrap.prepare import prepare
from debfleet.common.bootstrap.tree import How
from debfleet.common.bootstrap.variant import Tree
from debfleet.common.initramfs.generate import generate
from debfleet.common.namespace import apart
from debfleet.common.run import raise_on_signals, run

SUITE = "trixie"
KERNEL = ["linux-image-cloud-amd64", "systemd-sysv", "initramfs-tools", "openssh-server"]
GOAL = 1.5
RESOLVE_GOAL = 10.0  # seconds


def by_mmdebstrap(folder: Path, include: list[str]) -> None:
    """What a user types. In a namespace of its own: see floor.py."""
    run(apart(floor.mmdebstrap(folder, SUITE, include)))


def by_debfleet(folder: Path, packages: list[str], how: How) -> None:
    """The same by the rooms that the modules call: indices, tree, packages, one initramfs."""
    wanted = Tree(folder / "tree", SUITE, "amd64")
    ready = prepare(folder, mirror.Wish(SUITE), "amd64", ImageApt())
    tree.make(wanted, how, ready.apt)
    if packages:
        apt.install(wanted.root, packages, build=folder)
        generate(wanted.root)


def by_resolving(folder: Path) -> None:
    """Everything of a bootable image resolved, indices got."""
    ready = prepare(folder, mirror.Wish(SUITE), "amd64", ImageApt())
    resolve.resolve(ready.apt, Tree(folder / "tree", SUITE, "amd64"), {"image": KERNEL})


def subjects(kept: Path) -> list[Subject]:
    """What is measured; `kept` is where the tarball lies that one of them unpacks."""
    ours, other = "by debfleet", "by mmdebstrap"
    stock, old = (f"{tool} {tree.version(tool)}" for tool in ("mmdebstrap", "debootstrap"))
    return [
        Subject(f"tree {other}", lambda folder: by_mmdebstrap(folder, []), version=stock),
        Subject(f"tree {ours}", lambda folder: by_debfleet(folder, [], How()), version=stock),
        Subject(f"tree {ours}, debootstrap", lambda folder: by_debfleet(folder, [], How("debootstrap")), version=old),
        Subject(f"tree {ours}, kept tarball", lambda folder: by_debfleet(folder, [], How(tarball=str(kept)))),
        Subject(f"bootable tree {other}", lambda folder: by_mmdebstrap(folder, KERNEL), version=stock),
        Subject(f"bootable tree {ours}", lambda folder: by_debfleet(folder, KERNEL, How()), version=stock),
        Subject("resolving", by_resolving),
    ]


def main() -> None:
    """Measure, print, write."""
    raise_on_signals()
    rounds = harness.begin("mmdebstrap", "debootstrap")
    with harness.scratch() as folder:
        kept = folder / "base.tar.zst"
        with harness.scratch() as first:
            by_debfleet(first, [], How(tarball=str(kept)))
        measured = harness.interleaved(subjects(kept), rounds)
    ratios = {
        f"{what} by debfleet ÷ mmdebstrap": harness.ratio(
            measured[f"{what} by debfleet"], measured[f"{what} by mmdebstrap"], GOAL
        )
        for what in ("tree", "bootable tree")
    }
    limits = {"resolving": harness.limit(measured["resolving"].median, "s", RESOLVE_GOAL)}
    harness.tell(harness.document("bootstrap", measured, ratios, limits))


if __name__ == "__main__":
    main()
