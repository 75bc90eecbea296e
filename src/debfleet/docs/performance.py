# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/performance.md, made from measurements: ``python -m debfleet.docs.performance [FILE…]`` writes it.

Without a file it takes all of build/.bench/. A benchmark that wasn't measured this time keeps its section.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from debfleet import house

PAGE = Path("docs/performance.md")
MEASURED = Path("build/.bench")
BAR = 60  # characters of the longest
QUIET = 1.5  # the load up to which wall-clock time can be trusted on two cores
HEAD = """\
<!-- SPDX-License-Identifier: GPL-3.0-or-later
     Made from build/.bench/ by `python -m debfleet.docs.performance`. -->
# Performance

Each section names the command that printed its figures, with goals, on the machine that it names. Subjects are measured
in turn, once a round, and medians are compared; CPU time is that of all cores together. On a machine with other work,
trust the ratios, and of those the ones of CPU time most. The form of the files is `schemas/benchmark.json`.
"""
EXPLAINED = {
    "bootstrap": """\
A tree of minbase, and one with kernel, init and SSH server, beside what mmdebstrap needs for the same by its command
line. Ours has the indices fetched apart, since packages are resolved against them before anything is made, and the
initramfs made once, at the end; kept tarball: the tree is unpacked from that of an earlier build.
""",
    "initramfs": """\
The initramfs of a small tree with the cloud kernel, generated with the image's own functions (stock) and with those
that a build lends; in each round both have the same members, by path, mode, owner, links and content. bookworm's
functions start some ten programs for each kernel module; trixie's and sid's leave these to dracut-install.
""",
    "image-arch": """\
The same image of bookworm (kernel, initramfs, bootloader, cloud-init; qcow2) for this machine's architecture and for
others, built with `-e cache=off`: the tool tree, which native programs are taken from, is kept of an earlier build; or
nothing is. The ratios are to amd64's. Beside them plain mmdebstrap, which makes a tree of amd64's packages and no disk.
Without the security pocket, whose architectures a mirror may not have in step: builds wait for a mirror to finish.
""",
    "image": """\
`manifests/kvm-amd64.yml`. Cold: nothing is taken from earlier builds, nor kept for later ones (`-e cache=off`). Warm:
one setting of a plugin has changed since an earlier build. Unchanged: nothing has, so nothing is built. The floor: the
same packages in the same versions (compared in each round) by one mmdebstrap in memory with one initramfs at its end,
then sfdisk, mke2fs, mtools, grub-mkimage and qemu-img (`benchmarks/floor.py`). The floor boots, but nothing in it was
set up, cleaned, inspected or told: no locale, no users, no SBOM, no checksums, no look before the start whether all
packages are there. vmdb2 installs the same packages, boots by BIOS only, and tells and inspects nothing either; its
kpartx is replaced by partx where the kernel has no device-mapper (`benchmarks/vmdb2.py`). floor and vmdb2 are cold's
ratio to these, warm is warm's to cold. "not in a tool" is what remains of a cold build without the seconds of every
program it ran: Ansible's share, and the work of debfleet's own code.
""",
}


def read(path: Path) -> dict[str, Any]:
    """A measurement. Raises ValueError where it isn't one, with the place."""
    schema = json.loads((house.schemas() / "benchmark.json").read_text(encoding="utf-8"))
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for error in Draft202012Validator(schema).iter_errors(told):
        raise ValueError(f"{path}: {error.json_path}: {error.message}")
    return told


def section(told: Mapping[str, Any]) -> str:
    """A benchmark's section: a heading, what is compared, and tables."""
    machine, first = told["machine"], told["runs"][0]["seconds"]
    quiet = "" if machine.get("load", 0) <= QUIET else "; **the machine was not quiet**"
    load = f", load {machine['load']:.1f} when it began" if "load" in machine else ""
    counted = "1 round" if len(first) == 1 else f"{len(first)} rounds"
    lines = [
        f"## {told['name']}",
        "",
        *EXPLAINED.get(told["name"], "").splitlines(),
        "",
        f"`{told['command']}`, {counted}, {told['time'][:10]}, debfleet {told['version']}; "
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory']}{load}{quiet}",
        "",
        *_subjects(told),
        *_goals(told),
        *_parts(told),
    ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _subjects(told: Mapping[str, Any]) -> Iterator[str]:
    yield from ("| subject | s | from – to | CPU s | by |", "|---|---|---|---|---|")
    for run in told["runs"]:
        seconds, cpu = run["seconds"], statistics.median(run["cpu"])
        spread = f"{min(seconds):.1f} – {max(seconds):.1f}"
        yield f"| {run['subject']} | {run['median']:.1f} | {spread} | {cpu:.1f} | {run.get('version', '')} |"
    yield ""


def _goals(told: Mapping[str, Any]) -> Iterator[str]:
    yield from ("| figure | value | goal | |", "|---|---|---|---|")
    for name, one in told["ratios"].items():
        word = "at most" if one["better"] == "lower" else "at least"
        yield f"| {name} | {one['value']:g} | {word} {one['goal']:g} | {_met(one)} |"
    for name, one in told["limits"].items():
        yield f"| {name} | {one['value']:g} {one['unit']} | at most {one['goal']:g} | {_met(one)} |"
    yield ""


def _met(one: Mapping[str, Any]) -> str:
    word = "met" if one["ok"] else "**missed**"
    rounds = one.get("rounds", [])
    if any((value <= one["goal"]) != one["ok"] for value in rounds):
        word += f" by the medians, but not so in every round: {', '.join(f'{value:g}' for value in rounds)}"
    return word


def _parts(told: Mapping[str, Any]) -> Iterator[str]:
    """Where the seconds go: a bar for each part of each subject, all to one scale."""
    known = {
        run["subject"]: {name: statistics.median(values) for name, values in run["parts"].items()}
        for run in told["runs"] if run.get("parts")
    }  # fmt: skip
    longest = max((seconds for parts in known.values() for seconds in parts.values()), default=0) or 1
    if known:
        yield from ("```", "where the seconds go")
        for subject, parts in known.items():
            yield from ("", f"{subject}")
            for name, seconds in parts.items():
                yield f"  {name:21} {seconds:5.1f}  {'█' * round(seconds / longest * BAR) or '▏'}"
        yield from ("```", "")


def sections(page: str) -> dict[str, str]:
    """The sections of a page that was written before, by benchmark."""
    found = re.finditer(r"^## (\S+)\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return {match[1]: match[0].rstrip() + "\n" for match in found}


def page(before: str, measured: list[dict[str, Any]]) -> str:
    """The page: sections measured now in the place of their former selves, sorted by name."""
    known = {**sections(before), **{told["name"]: section(told) for told in measured}}
    return "\n".join([HEAD, *(known[name] for name in sorted(known))])


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m debfleet.docs.performance", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="measurements; else all of build/.bench/")
    files = parser.parse_args().files or sorted(MEASURED.glob("*.json"))
    target = house.root() / PAGE
    before = target.read_text(encoding="utf-8") if target.exists() else ""
    try:
        target.write_text(page(before, [read(path) for path in files]), encoding="utf-8")
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
