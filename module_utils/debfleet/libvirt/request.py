# SPDX-License-Identifier: GPL-3.0-or-later
"""A domain as its user asks for it, made into a machine: what isn't said follows from image, architecture and host.

One door for the module, the filter and the prompt: options have the same names and meanings in all three.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..architectures import TABLE, Architecture, MachineType, architecture, host
from ..errors import DebfleetError
from . import direct, words
from .acceleration import MODES, Acceleration, of_image
from .image import FORMATS, ImageFolder
from .machine import DIRECT, Disk, Kernel, Machine

OPTIONS = frozenset(
    ("name", "uuid", "image", "format", "architecture", "machine", "firmware", "variables", "accelerator", "emulator")
    + ("memory", "cpus", "disks", "seed", "networks", "forwards", "serial", "host_devices")
    + ("kernel", "initrd", "cmdline", "device_tree")
)
MEMORY, MIB = 1024, 1 << 20
XEN = "xen"
ACCELERATORS = (*MODES, XEN)


def machine(options: Mapping[str, Any]) -> Machine:
    """The machine that is asked for. None and nothing said are the same.

    Raises DebfleetError where something is wrong with what was said, before anything else is done.
    """
    return decided(options)[0]


def decided(options: Mapping[str, Any]) -> tuple[Machine, Acceleration]:
    """The machine that is asked for, and why it is accelerated or not."""
    said = {key: value for key, value in options.items() if value is not None}
    if unknown := sorted(set(said) - OPTIONS):
        raise DebfleetError(
            f"a domain has no option {', '.join(unknown)}", hint=f"allowed: {', '.join(sorted(OPTIONS))}"
        )
    name = _name(said.get("name"))
    image, file = _image(said.get("image"))
    row = _architecture(said.get("architecture"), image)
    accelerator = str(said.get("accelerator", "auto"))
    if accelerator not in ACCELERATORS:
        raise DebfleetError(f"nothing accelerates by {accelerator}", hint=f"allowed: {', '.join(ACCELERATORS)}")
    kind = _type(row, said.get("machine"), image, xen=accelerator == XEN)
    kernel = _kernel(said, image, file, kind)
    firmware = _firmware(said.get("firmware"), row, kind, image, kernel)
    kernel = kernel if firmware == DIRECT else None
    networks = words.networks(said.get("networks"), said.get("forwards"), kind, xen=accelerator == XEN)
    acceleration = _acceleration(accelerator, row, image, kernel)
    disks = [Disk(file, _format(said.get("format"), file, image))] if file else []
    disks += [words.disk(disk) for disk in said.get("disks", [])]
    if "seed" in said:
        disks.append(Disk(words.absolute(said["seed"]), "raw", readonly=True))
    made = Machine(
        name=name,
        architecture=row,
        type=kind,
        firmware=firmware,
        accelerator=acceleration.name,
        memory=_memory(said.get("memory"), kind),
        cpus=_cpus(said.get("cpus"), kind),
        disks=disks,
        serial=words.path_of(said, "serial"),
        variables=words.path_of(said, "variables"),
        kernel=kernel,
        networks=[words.with_mac(network, name, number) for number, network in enumerate(networks)],
        host_devices=[words.host_device(str(device)) for device in said.get("host_devices", [])],
        uuid=str(said.get("uuid", "")),
        origin=_origin(row, kind, firmware, image, file),
        emulator="" if accelerator == XEN else str(said.get("emulator") or _emulator(row)),
    )
    return made, acceleration


def _name(name: Any) -> str:
    text = "" if name is None else str(name)
    bad = [char for char in text if char == "/" or unicodedata.category(char) in ("Cc", "Cs")]
    if not text.strip() or bad or text in (".", ".."):
        why = f"it has {', '.join(map(ascii, bad))}" if bad else "it is no name" if text else "it has none"
        raise DebfleetError(
            "the domain needs a name without / and control characters", where=f"name: {text!a}", why=why
        )
    return text


def _image(image: Any) -> tuple[ImageFolder | None, Path | None]:
    """The folder that the image is in, where debfleet made it, and its file."""
    if not image:
        return None, None
    path = words.absolute(image)
    if path.is_dir():
        folder = ImageFolder.read(path)
        return folder, folder.file()
    if (path.parent / "metadata.json").exists() and (path.parent / "manifest.json").exists():
        folder = ImageFolder.read(path.parent)
        if folder.file() == path:
            return folder, path
    return None, path


def _architecture(name: Any, image: ImageFolder | None) -> Architecture:
    if name is None:
        return image.architecture if image else host()
    row = architecture(str(name))
    if image and image.architecture is not row:
        raise DebfleetError(
            f"the image is of another architecture than the domain: {image.architecture.name}, not {row.name}",
            where=str(image.path),
            hint="leave the architecture out, and it is the image's",
        )
    return row


def _type(row: Architecture, name: Any, image: ImageFolder | None, *, xen: bool) -> MachineType:
    if image and name is None and not xen:
        return image.machine
    types = row.xen_types if xen else row.machine_types
    if not types:
        there = ", ".join(other.name for other in TABLE.values() if other.xen_types)
        raise DebfleetError(f"there is no machine of {row.name} under Xen", hint=f"there is for {there}")
    found = next((one for one in types if name in (None, one.name)), None)
    if found is None:
        allowed = ", ".join(one.name for one in types)
        raise DebfleetError(f"{row.name} has no machine {name}", hint=f"allowed: {allowed}")
    return found


def _kernel(said: Mapping[str, Any], image: ImageFolder | None, file: Path | None, kind: MachineType) -> Kernel | None:
    """The kernel that is named, or that lies beside an image without bootloader, where a machine can't do without."""
    if "kernel" in said:
        line = said.get("cmdline", direct.cmdline(kind, image.root_uuid() if image else ""))
        return Kernel(
            words.absolute(said["kernel"]), words.path_of(said, "initrd"), str(line), words.path_of(said, "device_tree")
        )
    found = direct.beside(image, kind) if image else None
    if found is None and file and not kind.firmware:
        found = direct.by_convention(file.parent, kind, image.root_uuid() if image else "")
    if found is None:
        if lone := [key for key in ("initrd", "cmdline", "device_tree") if key in said]:
            raise DebfleetError(f"{lone[0]} is said, and no kernel", hint="name the kernel too, or leave it out")
        return None
    return Kernel(
        found.image,
        words.path_of(said, "initrd") or found.initrd,
        str(said.get("cmdline", found.cmdline)),
        words.path_of(said, "device_tree") or found.device_tree,
    )


def _firmware(name: Any, row: Architecture, kind: MachineType, image: ImageFolder | None, kernel: Kernel | None) -> str:
    there = list(kind.firmware)
    if name is None:
        wanted = [DIRECT] if kernel else image.firmware() if image else there
        found = next((one for one in wanted if one in there or one == DIRECT), None)
        if found is None and not there:
            raise DebfleetError(f"a machine {kind.name} of {row.name} boots only a kernel that it is given",
                                hint="name kernel, initrd and cmdline")  # fmt: skip
        if found is None:
            raise DebfleetError(f"the image boots by {', '.join(wanted)}, and a machine {kind.name} of {row.name} "
                                f"has {', '.join(there)}")  # fmt: skip
        return found
    if name == DIRECT and not kernel:
        raise DebfleetError("a direct boot needs a kernel", hint="name kernel, initrd and cmdline")
    if name != DIRECT and name not in there:
        allowed = ", ".join([*there, DIRECT])
        raise DebfleetError(f"a machine {kind.name} of {row.name} has no firmware {name}", hint=f"allowed: {allowed}")
    return str(name)


def _acceleration(name: str, row: Architecture, image: ImageFolder | None, kernel: Kernel | None) -> Acceleration:
    if name == XEN:
        return Acceleration(XEN, "Xen was asked for")
    return of_image(name, row, image, kernel.image if kernel else None)


def _format(name: Any, file: Path, image: ImageFolder | None) -> str:
    """QEMU's name of the file's format. Never guessed from its bytes: a guest could have written them."""
    if name is not None:
        return words.format_named(str(name))
    if image:
        return words.format_named(image.format())
    if file.suffix not in FORMATS:
        raise DebfleetError("the image's format can't be told from its name", where=str(file),
                            hint=f"say format: {', '.join(dict.fromkeys(FORMATS.values()))}")  # fmt: skip
    return words.format_named(FORMATS[file.suffix])


def _memory(mib: Any, kind: MachineType) -> int:
    least, most = kind.memory or (1, 1 << 30)
    wanted = int(mib) if mib is not None else min(MEMORY, most)
    if not least <= wanted <= most:
        allowed = f"{least} MiB" if least == most else f"{least} to {most} MiB"
        where = f"memory: {wanted}"
        raise DebfleetError(f"a machine {kind.name} has other memory", where=where, hint=f"allowed: {allowed}")
    return wanted * MIB


def _cpus(number: Any, kind: MachineType) -> int:
    wanted = int(number) if number is not None else 1
    if wanted < 1 or (kind.cpus and wanted > kind.cpus):
        most = f"1 to {kind.cpus}" if kind.cpus > 1 else "1" if kind.cpus else "1 or more"
        raise DebfleetError(f"a machine {kind.name} has other numbers of CPUs", where=f"cpus: {wanted}",
                            hint=f"allowed: {most}")  # fmt: skip
    return wanted


def _origin(
    row: Architecture, kind: MachineType, firmware: str, image: ImageFolder | None, file: Path | None
) -> dict[str, str]:
    digest = str(image.metadata.get("sha256") or "") if image else ""
    return {
        "architecture": row.name,
        "machine": kind.name,
        "firmware": firmware,
        **({"image": image.name if image else file.name} if file else {}),
        **({"sha256": digest} if digest else {}),
    }


def _emulator(row: Architecture) -> str:
    return shutil.which(row.emulator) or f"/usr/bin/{row.emulator}"
