# SPDX-License-Identifier: GPL-3.0-or-later
"""How long images of other architectures take beside this machine's own: with the native tools kept, and with nothing.

    make bench-image-arch                  # .venv/bin/python benchmarks/image_arch.py [ROUNDS]

Whole images of bookworm, with kernel, initramfs and bootloader, are built by the playbook with `cache=off`; and the
same packages for amd64 by plain mmdebstrap, which makes no disk of them. Prints a table and writes
build/.bench/image-arch.json. Needs root, and memory for two trees in /dev/shm.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import sys
from pathlib import Path

import harness
from harness import Look, Subject

from debfleet.common.bootstrap import mirror
from debfleet.common.bootstrap.tree import version
from debfleet.common.namespace import apart
from debfleet.common.run import raise_on_signals, run

ROOT = Path(__file__).resolve().parent.parent
OWN, OTHERS, SUITE = "amd64", ("armhf", "arm64"), "bookworm"
CACHED, UNCACHED = 1.3, 2.2
PHASE = r"^\[ ?\d+/\d+\] (\w+) +([\d.]+) s(?:  |$)"
NATIVE = re.compile(r"# \d+ programs are native")
MANIFEST = """\
name: {name}
provider: {{name: kvm}}
system: {{release: {suite}, architecture: {architecture}}}
volume: {{backing: qcow2, size: 2GiB, partitions: {{root: {{}}}}}}
packages: {{mirror: "{mirror}", security: "{mirror}"}}
plugins: {{cloud_init: {{username: debian}}}}
"""


class Builds:
    """The subjects."""

    def __init__(self, images: Path) -> None:
        self.images = images
        self.cache = images / "cache"
        main = mirror.read_builder().main(SUITE)
        if main is None:
            sys.exit(f"apt of this machine has no mirror with {SUITE}")
        self.mirror = main.uri  # without security: an index of it that a mirror is bringing up to date is waited for

    def image(self, architecture: str, folder: Path) -> None:
        """By the playbook; what a build of another architecture takes is kept from an earlier one, and nothing else."""
        name = f"bench-{architecture}"
        manifest = self.images / f"{name}.yml"
        words = {"name": name, "suite": SUITE, "architecture": architecture, "mirror": self.mirror}
        manifest.write_text(MANIFEST.format(**words), encoding="utf-8")
        options = [f"manifest={manifest}", f"image_build_dir={self.images}", "cache=off", "rebuild=true"]
        play = [Path(sys.executable).parent / "ansible-playbook", ROOT / "playbooks/build-image.yml"]
        done = run(
            [*play, *(word for option in options for word in ("-e", option))],
            cwd=ROOT,
            env={"DEBFLEET_CACHE": str(self.cache)},
        )
        parts = {phase: float(seconds) for phase, seconds in re.findall(PHASE, done.stdout, re.MULTILINE)}
        parts["before and between"] = done.seconds - sum(parts.values())
        (folder / "seconds.json").write_text(json.dumps(parts), encoding="utf-8")

    def with_nothing(self, architecture: str, folder: Path) -> None:
        """The same with nothing kept."""
        shutil.rmtree(self.cache, ignore_errors=True)
        self.image(architecture, folder)

    def look(self, architecture: str, folder: Path) -> Look:
        """The seconds of its phases, and its packages. An image of another architecture has to be made natively."""
        built = self.images / f"bench-{architecture}"
        log = (built / "build.log").read_text(encoding="utf-8", errors="replace")
        if architecture != OWN and not NATIVE.search(log):
            sys.exit(f"{architecture} was emulated; why is in {built}/build.log")
        packages = json.loads((built / "packages.json").read_text(encoding="utf-8"))["packages"]
        parts = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
        return Look(parts, {"packages": len(packages)})

    def stock(self, folder: Path) -> None:
        """By plain mmdebstrap: a tree of the packages that the amd64 image asks for, and nothing done with it."""
        manifest = self.images / f"bench-{OWN}.yml"
        told = run([sys.executable, "-m", "debfleet", "manifest", "plan", "--json", manifest]).stdout
        builder = mirror.read_builder()
        source = mirror.plan(mirror.Wish(SUITE), builder, mirror.tool_default(SUITE, ["main"])).needed
        words = [f"--include={','.join(json.loads(told)['packages'])}"]
        words += [f"--aptopt={line}" for line in builder.settings]
        run(apart(["mmdebstrap", "--variant=minbase", *words, SUITE, folder / "tree", source.line()]))


def main() -> None:
    """Measure, print, write."""
    raise_on_signals()
    rounds = harness.begin("mmdebstrap", "sfdisk", "mke2fs", "mformat", "grub-mkimage", "qemu-img")
    harness.OUT.mkdir(parents=True, exist_ok=True)
    with harness.scratch(harness.OUT) as images:
        builds = Builds(images.resolve())
        subjects = [Subject(OWN, functools.partial(builds.image, OWN), functools.partial(builds.look, OWN))]
        for name in OTHERS:
            look = functools.partial(builds.look, name)
            subjects.append(Subject(f"{name}, nothing kept", functools.partial(builds.with_nothing, name), look))
            subjects.append(Subject(name, functools.partial(builds.image, name), look))
        subjects.append(Subject("mmdebstrap", builds.stock, version=f"mmdebstrap {version('mmdebstrap')}"))
        measured = harness.interleaved(subjects, rounds)
    own = measured[OWN]
    ratios = {name: harness.ratio(measured[name], own, CACHED) for name in OTHERS}
    ratios |= {f"{name}-uncached": harness.ratio(measured[f"{name}, nothing kept"], own, UNCACHED) for name in OTHERS}
    harness.tell(harness.document("image-arch", measured, ratios, {}))


if __name__ == "__main__":
    main()
