# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an image takes: cold, warm and unchanged, beside the floor (floor.py) and vmdb2, its nearest peer.

    make bench-image                       # .venv/bin/python benchmarks/image.py [ROUNDS]

All make a qcow2 of the same packages. Prints a table and writes build/.bench/image.json. Needs root, and memory for two
trees in /dev/shm. vmdb2 is left out, and said to be, where it isn't installed.
"""

from __future__ import annotations

import functools
import json
import re
import statistics
import sys
import time
from pathlib import Path

import harness
import memory
import vmdb2
from harness import Look, Subject

from debfleet.common.bootstrap.tree import version
from debfleet.common.namespace import apart
from debfleet.common.run import raise_on_signals, run

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / "manifests/kvm-amd64.yml"
GOALS = {"floor": 1.25, "vmdb2": 0.7, "warm": 0.3}
UNCHANGED, OWN, MODULES, MEMORY, CHECK = 3.0, 7.0, 15, 600, 1.0
PHASE = r"^\[ ?\d+/\d+\] (\w+) +([\d.]+) s(?:  |$)"  # metadata.json is written before the last two phases end
COMMAND = r"^\d\d:\d\d:\d\d = exit \d+ after ([\d.]+) s"
# The manifest with one setting of one plugin changed in each round.
VARIANT = "extends: {manifest}\nname: {name}\nplugins:\n  cloud_init:\n    username: bench{number}\n"


@functools.cache
def packages() -> tuple[str, ...]:
    """The packages that the manifest asks for, without what they depend on."""
    told = run([sys.executable, "-m", "debfleet", "manifest", "plan", "--json", MANIFEST]).stdout
    return tuple(map(str, json.loads(told)["packages"]))


class Builds:
    """The subjects, and the packages that the first image of each had: ours and the floor's must be the same."""

    def __init__(self, images: Path) -> None:
        self.images = images
        self.installed: dict[str, str] = {}
        self.number = 0
        self.memory = 0.0
        self.own: dict[str, list[float]] = {}  # seconds that no tool took, by the play's name

    def floor(self, folder: Path) -> None:
        """By plain tools."""
        words: list[str | Path] = ["trixie", folder, self.images / "floor.qcow2", *packages()]
        done = run(apart([sys.executable, ROOT / "benchmarks/floor.py", *words]))
        (folder / "seconds.json").write_text(done.stdout, encoding="utf-8")

    def look_at_floor(self, folder: Path) -> Look:
        """What is in it, and the seconds of its steps."""
        form = "--showformat=${Package} ${Version}\n"
        said = run(["dpkg-query", f"--admindir={folder}/tree/var/lib/dpkg", form, "--show"]).stdout
        count = self._compare("floor", said.splitlines())
        return Look(json.loads((folder / "seconds.json").read_text(encoding="utf-8")), {"packages": count})

    def vmdb2(self, folder: Path) -> None:
        """By vmdb2."""
        vmdb2.build("trixie", folder, self.images / "vmdb2.qcow2", packages())

    def prepare(self) -> None:
        """What warm builds begin with."""
        with harness.scratch() as folder:
            self._play(folder, "primed")

    def cold(self, folder: Path) -> None:
        """By the playbook, with nothing kept from an earlier build, nor for a later one."""
        self._play(folder, "cold", "cache=off", "rebuild=true")

    def warm(self, folder: Path) -> None:
        """By the playbook, when one setting of a plugin has changed since an earlier build."""
        self.number += 1
        self._play(folder, "warm")

    def unchanged(self, folder: Path) -> None:
        """By the playbook, when nothing has changed."""
        self._play(folder, "warm")

    def _play(self, folder: Path, name: str, *options: str) -> None:
        manifest = self.images / f"{name}.yml"
        manifest.write_text(VARIANT.format(manifest=MANIFEST, name=name, number=self.number), encoding="utf-8")
        variables = {
            "ANSIBLE_CALLBACK_PLUGINS": f"{ROOT}/callback_plugins:{ROOT}/benchmarks/callback_plugins",
            "ANSIBLE_CALLBACKS_ENABLED": "module_executions",
            "DEBFLEET_MODULE_EXECUTIONS": str(folder / "modules"),
            "DEBFLEET_CACHE": str(self.images / "cache"),
        }
        words = [f"manifest={manifest}", f"image_build_dir={self.images}", *options]
        play = [Path(sys.executable).parent / "ansible-playbook", ROOT / "playbooks/build-image.yml"]
        with memory.peak("ansible-playbook") as seen:
            done = run([*play, *(word for option in words for word in ("-e", option))], cwd=ROOT, env=variables)
        self.memory = max(self.memory, seen.mebibytes)
        parts = {phase: float(seconds) for phase, seconds in re.findall(PHASE, done.stdout, re.MULTILINE)}
        parts["before and between"] = done.seconds - sum(parts.values())
        log = (self.images / name / "build.log").read_text(encoding="utf-8", errors="replace")
        tools = sum(map(float, re.findall(COMMAND, log, re.MULTILINE)))
        self.own.setdefault(name, []).append(done.seconds - tools)
        (folder / "seconds.json").write_text(json.dumps(parts), encoding="utf-8")

    def look_at_debfleet(self, name: str, folder: Path) -> Look:
        """What is in it, the seconds of its phases, and the modules that were executed."""
        found = json.loads((self.images / name / "packages.json").read_text(encoding="utf-8"))["packages"]
        count = self._compare(name, [f"{one['name']} {one['version']}" for one in found])
        parts = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
        modules = (folder / "modules").read_text(encoding="utf-8").split()
        return Look(parts, {"packages": count, "modules": len(modules)})

    def look_at_unchanged(self, folder: Path) -> Look:
        """That nothing was built."""
        parts = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
        if "os_installation" in parts:
            sys.exit("what had not changed was built anew")
        return Look(parts)

    def _compare(self, name: str, found: list[str]) -> int:
        text = "\n".join(sorted(found))
        for other, seen in {**self.installed, name: self.installed.get(name, text)}.items():
            if text != seen:
                differ = sorted(set(text.splitlines()) ^ set(seen.splitlines()))
                sys.exit(f"{name} and {other} differ, so they can't be compared: {', '.join(differ)}")
        self.installed[name] = text
        return len(found)


def check_seconds() -> float:
    """How long `debfleet manifest check` takes, start and all: the median of five."""
    taken = []
    for _ in range(5):
        start = time.monotonic()
        run([sys.executable, "-m", "debfleet", "manifest", "check", MANIFEST])
        taken.append(time.monotonic() - start)
    return round(statistics.median(taken), 2)


def main() -> None:
    """Measure, print, write."""
    raise_on_signals()
    rounds = harness.begin("mmdebstrap", "sfdisk", "mke2fs", "mformat", "grub-mkimage", "qemu-img")
    harness.OUT.mkdir(parents=True, exist_ok=True)
    with harness.scratch(harness.OUT) as images:
        builds = Builds(images.resolve())
        builds.prepare()
        subjects = [
            Subject("floor", builds.floor, builds.look_at_floor, f"mmdebstrap {version('mmdebstrap')}"),
            Subject("cold", builds.cold, functools.partial(builds.look_at_debfleet, "cold")),
            Subject("warm", builds.warm, functools.partial(builds.look_at_debfleet, "warm")),
            Subject("unchanged", builds.unchanged, builds.look_at_unchanged),
        ]
        if vmdb2.there():
            subjects.append(Subject("vmdb2", builds.vmdb2, version=f"vmdb2 {vmdb2.version()}"))
        else:
            print("vmdb2 is not installed, and not compared: apt-get install --no-install-recommends vmdb2")
        measured = harness.interleaved(subjects, rounds)
    cold, warm = measured["cold"], measured["warm"]
    peers = [name for name in ("floor", "vmdb2") if name in measured]
    ratios: dict[str, object] = {name: harness.ratio(cold, measured[name], GOALS[name]) for name in peers}
    ratios["warm"] = harness.ratio(warm, cold, GOALS["warm"])
    own = statistics.median(builds.own["cold"])
    limits = {
        "unchanged": harness.limit(measured["unchanged"].median, "s", UNCHANGED),
        "cold, not in a tool": harness.limit(round(own, 2), "s", OWN),
        "modules": harness.limit(max(cold.counts["modules"]), "module executions", MODULES),
        "peak memory of Ansible and debfleet": harness.limit(round(builds.memory), "MiB", MEMORY),
        "manifest check": harness.limit(check_seconds(), "s", CHECK),
    }
    harness.tell(harness.document("image", measured, ratios, limits))


if __name__ == "__main__":
    main()
