# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a cold build takes beside the floor (floor.py), and how many modules it executes.

    make bench-build                       # .venv/bin/python benchmarks/build.py [ROUNDS]

Both make a qcow2 of the same packages. Prints a table and writes build/.bench/build.json. Needs root, and memory for
two trees in /dev/shm.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from pathlib import Path

import harness
from harness import Look, Subject

from debfleet.common.bootstrap.tree import version
from debfleet.common.namespace import apart
from debfleet.common.run import raise_on_signals, run

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / "manifests/kvm-amd64.yml"
RATIO_GOAL = 1.5
MODULES_GOAL = 14
PHASE = r"^\[ ?\d+/\d+\] (\w+) +([\d.]+) s$"  # as the play tells it; metadata.json is written before the last two end


@functools.cache
def plan() -> dict[str, object]:
    """What the manifest asks for."""
    told = run([sys.executable, "-m", "debfleet", "manifest", "plan", "--json", MANIFEST]).stdout
    planned: dict[str, object] = json.loads(told)
    return planned


@functools.cache
def packages() -> tuple[str, ...]:
    """The packages that the manifest asks for, without what they depend on."""
    asked = plan()["packages"]
    assert isinstance(asked, list)
    return tuple(map(str, asked))


class Builds:
    """The subjects, and the packages that the first image of each had: they must all be the same."""

    def __init__(self, images: Path) -> None:
        self.images = images
        self.installed: dict[str, str] = {}

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

    def debfleet(self, folder: Path) -> None:
        """By the playbook, with nothing kept from an earlier build."""
        variables = {
            "ANSIBLE_CALLBACK_PLUGINS": f"{ROOT}/callback_plugins:{ROOT}/benchmarks/callback_plugins",
            "ANSIBLE_CALLBACKS_ENABLED": "module_executions",
            "DEBFLEET_MODULE_EXECUTIONS": str(folder / "modules"),
        }
        words = ["-e", f"manifest={MANIFEST}", "-e", f"image_build_dir={self.images}"]
        play = [Path(sys.executable).parent / "ansible-playbook", ROOT / "playbooks/build-image.yml"]
        done = run([*play, *words], cwd=ROOT, env=variables)
        parts = {phase: float(seconds) for phase, seconds in re.findall(PHASE, done.stdout, re.MULTILINE)}
        parts["before and between"] = done.seconds - sum(parts.values())
        (folder / "seconds.json").write_text(json.dumps(parts), encoding="utf-8")

    def look_at_debfleet(self, folder: Path) -> Look:
        """What is in it, the seconds of its phases, and the modules that were executed."""
        image = self.images / str(plan()["name"])
        found = json.loads((image / "packages.json").read_text(encoding="utf-8"))["packages"]
        count = self._compare("debfleet", [f"{one['name']} {one['version']}" for one in found])
        parts = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
        modules = (folder / "modules").read_text(encoding="utf-8").split()
        return Look(parts, {"packages": count, "modules": len(modules)})

    def _compare(self, name: str, found: list[str]) -> int:
        text = "\n".join(sorted(found))
        for other, seen in {**self.installed, name: self.installed.get(name, text)}.items():
            if text != seen:
                differ = sorted(set(text.splitlines()) ^ set(seen.splitlines()))
                sys.exit(f"{name} and {other} differ, so they can't be compared: {', '.join(differ)}")
        self.installed[name] = text
        return len(found)


def main() -> None:
    """Measure, print, write."""
    raise_on_signals()
    rounds = harness.begin("mmdebstrap", "sfdisk", "mke2fs", "mformat", "grub-mkimage", "qemu-img")
    harness.OUT.mkdir(parents=True, exist_ok=True)
    with harness.scratch(harness.OUT) as images:
        builds = Builds(images.resolve())
        subjects = [
            Subject("floor", builds.floor, builds.look_at_floor, f"mmdebstrap {version('mmdebstrap')}"),
            Subject("debfleet", builds.debfleet, builds.look_at_debfleet),
        ]
        measured = harness.interleaved(subjects, rounds)
    ratios = {"build by debfleet ÷ floor": harness.ratio(measured["debfleet"], measured["floor"], RATIO_GOAL)}
    modules = max(measured["debfleet"].counts["modules"])
    limits = {"modules": harness.limit(modules, "module executions", MODULES_GOAL)}
    harness.tell(harness.document("build", measured, ratios, limits))


if __name__ == "__main__":
    main()
