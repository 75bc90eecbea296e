# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a tree takes beside plain mmdebstrap, which is the floor, and how long resolving takes.

    .venv/bin/python benchmarks/bootstrap.py [RUNS]

Prints a table and writes build/.bench/bootstrap.json. Needs root, and memory for a tree in /dev/shm.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import debfleet
from debfleet.common import sizes
from debfleet.common.bootstrap import apt, initramfs, mirror, resolve, tree
from debfleet.common.bootstrap.image import ImageApt
from debfleet.common.bootstrap.prepare import prepare
from debfleet.common.bootstrap.tree import How
from debfleet.common.bootstrap.variant import Tree
from debfleet.common.namespace import apart
from debfleet.common.run import raise_on_signals, run

SUITE = "trixie"
KERNEL = ["linux-image-cloud-amd64", "systemd-sysv", "initramfs-tools", "openssh-server"]
GOALS = {"tree by debfleet ÷ mmdebstrap": 1.5, "bootable tree by debfleet ÷ mmdebstrap": 1.5}
RESOLVE_GOAL = 10.0  # seconds


def by_mmdebstrap(folder: Path, include: list[str]) -> None:
    """What a user types, with this machine's mirror and apt settings as debfleet uses them.

    In a namespace of its own: mmdebstrap binds the host's /dev into its tree, and whoever removes the tree of one that
    was interrupted would remove what is bound there.
    """
    builder = mirror.read_builder()
    plan = mirror.plan(mirror.Wish(SUITE), builder, mirror.tool_default(SUITE, ["main"]))
    sources = "".join(f"{source.line()}\n" for source in (plan.needed, *(pocket[0] for pocket in plan.pockets)))
    (folder / "list").write_text(sources)
    words = [f"--aptopt={line}" for line in plan.settings] + ([f"--include={','.join(include)}"] if include else [])
    argv = [
        "mmdebstrap",
        "--mode=root",
        "--quiet",
        "--variant=minbase",
        *words,
        SUITE,
        folder / "tree",
        folder / "list",
    ]
    run(apart(argv))


def by_debfleet(folder: Path, packages: list[str], how: How) -> None:
    """The same by the rooms that the modules call: indices, tree, packages, one initramfs."""
    wanted = Tree(folder / "tree", SUITE, "amd64")
    ready = prepare(folder, mirror.Wish(SUITE), "amd64", ImageApt())
    tree.make(wanted, how, ready.apt)
    if packages:
        apt.install(wanted.root, packages, build=folder)
        initramfs.generate(wanted.root)


def by_resolving(folder: Path) -> None:
    """Everything of a bootable image resolved, indices got."""
    ready = prepare(folder, mirror.Wish(SUITE), "amd64", ImageApt())
    resolve.resolve(ready.apt, Tree(folder / "tree", SUITE, "amd64"), {"image": KERNEL})


def main() -> None:
    """Run each subject in turn, as often as asked, and tell the medians."""
    raise_on_signals()
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    kept = Path(tempfile.mkdtemp(prefix="debfleet-bench-")) / "base.tar.zst"
    subjects: dict[str, Callable[[Path], None]] = {
        "tree by mmdebstrap": lambda folder: by_mmdebstrap(folder, []),
        "tree by debfleet": lambda folder: by_debfleet(folder, [], How()),
        "tree by debfleet, debootstrap": lambda folder: by_debfleet(folder, [], How("debootstrap")),
        "tree by debfleet, kept tarball": lambda folder: by_debfleet(folder, [], How(tarball=str(kept))),
        "bootable tree by mmdebstrap": lambda folder: by_mmdebstrap(folder, KERNEL),
        "bootable tree by debfleet": lambda folder: by_debfleet(folder, KERNEL, How()),
        "resolving": by_resolving,
    }
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    try:
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="debfleet-bench-") as first:
            by_debfleet(Path(first), [], How(tarball=str(kept)))
        for _ in range(runs):
            for name, subject in subjects.items():
                with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="debfleet-bench-") as folder:
                    start = time.monotonic()
                    subject(Path(folder))
                    seconds[name].append(round(time.monotonic() - start, 2))
    finally:
        kept.unlink(missing_ok=True)
        kept.parent.rmdir()
    tell(seconds)


def tell(seconds: dict[str, list[float]]) -> None:
    """Print the table and write the file."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:32} {median:7.2f} s   {seconds[name]}")
    ratios: dict[str, Any] = {}
    for name, goal in GOALS.items():
        ours, _, other = name.partition(" ÷ ")
        value = round(medians[ours] / medians[f"{ours.removesuffix(' by debfleet')} by {other}"], 2)
        ratios[name] = {"value": value, "goal": goal, "better": "lower", "ok": value <= goal}
        print(f"{name:44} {value} (goal {goal})")
    value = medians["resolving"]
    cpu = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    written = {
        "name": "bootstrap",
        "command": " ".join(["python", *sys.argv]),
        "version": debfleet.__version__,
        "machine": {"cpu": cpu.partition(": ")[2], "cores": os.cpu_count(), "memory": sizes.shown(memory)},
        "peers": {"mmdebstrap": tree.version("mmdebstrap"), "debootstrap": tree.version("debootstrap")},
        "runs": [{"subject": name, "seconds": values} for name, values in seconds.items()],
        "ratios": ratios,
        "limits": {"resolving": {"value": value, "unit": "s", "goal": RESOLVE_GOAL, "ok": value <= RESOLVE_GOAL}},
    }
    out = Path("build/.bench/bootstrap.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
