# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/architectures.md, from the table of architectures, from what was booted, and from the benchmark's section of
docs/performance.md: ``python -m debfleet.docs.architectures``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from debfleet import house
from debfleet.common.architectures import RELEASES, TABLE, MachineType
from debfleet.docs import boots, generated, performance

PAGE = Path("docs/architectures.md")
BENCHMARK = "image-arch"
NONE = "–"
HEAD = """\
<!-- SPDX-License-Identifier: GPL-3.0-or-later
     Made from debfleet's own table by `python -m debfleet.docs.architectures`; a test says whether it is current. -->
# Architectures

A manifest names one by Debian's name (`system.architecture`), and everything after it takes it from there: the packages
and the kernel, how foreign programs are run while building, `metadata.json`, the machine that boots the image, the
proof. All that differs between them stands in one table, `module_utils/debfleet/architectures/table.py`; a further
architecture is a further row, and no other code knows one by its name. `manifests/kvm-ARCH.yml` is an example of each.

## Names and kernels

Where debfleet asks for an architecture it takes any of the names in the first two columns.

| Debian | also | libvirt | EC2 | GNU | addresses | kernel | in |
|---|---|---|---|---|---|---|---|
{names}
`in` are the releases whose archive has that kernel; `manifest check` refuses an image with a bootloader of another.

## Machines

The first kind of machine of each is the usual one. Where the firmware has files of its own their Debian package is
named. A machine without any, or with one that debfleet has no bootloader for (slof, ipl), is started with the kernel
and the initramfs that lie beside the image (`bootloader: none`).

| architecture | machine | boots a disk by | CPU, emulated | console | disks | network | describes itself by |
|---|---|---|---|---|---|---|---|
{machines}
## Emulators

What runs machines of an architecture, and single programs of it. Of several packages the first that there is: Debian
has moved emulators from one to another.

| architecture | machines | package | KVM on | programs | their loader | as they are on |
|---|---|---|---|---|---|---|
{emulators}
KVM is used where it is for the architecture and a kernel comes through on it (docs/boot-proof.md). Programs that are
emulated are run by the package qemu-user-static.

{building}
## What was built and booted

`make test-architectures-full` builds and boots each manifest, and writes what it saw into `docs/data/boots/`. Booted
`proven` is a token from inside and every check of docs/boot-proof.md; else the stage that it stopped in. Seconds are
those of a busy two-core machine without KVM, of the last firmware where there are several.

armel's usual machine, versatilepb, is what people ask for by that name, and Debian has no kernel for it any more: the
one of its rpi flavour is silent there. An image with that kernel runs on raspi1ap. s390x and riscv64 were not built and
booted whole yet: the kernel of s390x, by itself, comes to the point where it mounts root, and U-Boot for riscv64 to the
look for a disk.

| manifest | release | built | in s | by | booted | in s | machine | firmware | on |
|---|---|---|---|---|---|---|---|---|---|
{booted}
{excerpts}"""
BUILDING = """\
## How an image is built on a machine of another architecture

As always where the builder's kernel runs the architecture's programs as they are (i386 on amd64). Elsewhere by tools of
the builder's own in place of emulated ones: [foreign.md](foreign.md).
"""


def names() -> Iterator[str]:
    """A row for each architecture: its names, and its kernel."""
    for row in TABLE.values():
        others = dict.fromkeys(name for name in (*row.aliases, *row.uname) if name != row.name)
        everywhere = row.kernel_in == RELEASES
        yield _line(
            row.name,
            _codes(others),
            row.libvirt,
            row.ec2,
            row.triplet,
            f"{row.bits} bits, {'big' if row.big_endian else 'little'} endian",
            f"{_codes(row.kernel_packages)} ({row.kernel_file})",
            "all" if everywhere else ", ".join(row.kernel_in),
        )


def machines() -> Iterator[str]:
    """A row for each kind of machine."""
    for row in TABLE.values():
        for number, machine in enumerate(row.machine_types):
            told = [word for word, there in (("ACPI", machine.acpi), ("SMBIOS", machine.smbios)) if there]
            if machine.device_tree:
                told.append(f"a device tree beside the image, `{machine.device_tree}`")
            yield _line(
                "" if number else row.name,
                machine.name,
                "; ".join(_firmware(machine)) or "nothing: it is started with a kernel",
                machine.cpu or NONE,
                machine.serial,
                machine.disk,
                machine.network,
                ", ".join(told),
            )


def _firmware(machine: MachineType) -> Iterator[str]:
    for name, files in machine.firmware.items():
        yield f"{name} ({files.package})" if files else f"{name} (its own)"


def emulators() -> Iterator[str]:
    """A row for each architecture: what emulates it."""
    for row in TABLE.values():
        yield _line(
            row.name,
            f"`{row.emulator}`",
            ", ".join(row.packages),
            ", ".join(row.kvm_on),
            f"`{row.qemu_user}-static`",
            f"`{row.interpreter}`",
            ", ".join(row.runs_on),
        )


def booted(records: Iterable[boots.Record]) -> Iterator[str]:
    """A row for each manifest that was tried."""
    for one in records:
        built = "yes" if one.built is not None else f"no: {one.why}"
        accelerated = f"{one.emulator} ({one.accelerator})" if one.accelerator else one.emulator
        yield _line(
            one.manifest,
            one.release,
            built,
            _seconds(one.built),
            one.way,
            f"{one.booted or 'no'}: {one.why}" if one.why and one.built is not None else one.booted,
            _seconds(one.seconds),
            one.machine,
            one.firmware,
            accelerated,
        )


def excerpts(records: Iterable[boots.Record]) -> Iterator[str]:
    """The consoles, of one manifest for each architecture."""
    known = {one.manifest: one for one in records if one.lines}
    for row in TABLE.values():
        if one := known.get(f"kvm-{row.name}"):
            yield "\n".join(
                [f"### {row.name}", "", f"{one.machine}, {one.firmware}, {one.time}:", "", "```", *one.lines, "```", ""]
            )


def building(performance_page: str) -> str:
    """How images of other architectures are built, and how long that takes."""
    measured = performance.sections(performance_page).get(BENCHMARK, "")
    lines = measured.splitlines()[1:]  # without its heading
    return BUILDING + ("\n" + "\n".join(lines).strip() + "\n" if lines else "")


def page() -> str:
    """The whole page."""
    records = boots.read()
    measured = (house.root() / performance.PAGE).read_text(encoding="utf-8")
    return (
        HEAD.format(
            names="".join(names()),
            machines="".join(machines()),
            emulators="".join(emulators()),
            building=building(measured),
            booted="".join(booted(records)),
            excerpts="\n".join(excerpts(records)),
        ).rstrip()
        + "\n"
    )


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _seconds(count: float | None) -> str:
    return "" if count is None else f"{count:.0f}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cell or NONE for cell in cells)} |\n"


def main() -> int:
    """Write the page, or say whether it is current."""
    return generated.main("architectures", PAGE, page, "table and boots", __doc__)


if __name__ == "__main__":
    sys.exit(main())
