# SPDX-License-Identifier: GPL-3.0-or-later
"""What boots images: libvirt, KVM; and what runs programs of other architectures."""

from __future__ import annotations

import contextlib
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import kernels
from ..architectures import TABLE, Architecture
from ..errors import DebfleetError
from ..libvirt import acceleration, image_kernel
from ..libvirt.daemon import connected, default_uri
from ..libvirt.image import ImageFolder
from ..run import find
from .finding import MISSING, OK, WARN, Finding

GROUP = "Machines"
BINFMT = Path("/proc/sys/fs/binfmt_misc")
CPU = Path("/proc/cpuinfo")
BOOT = Path("/boot")


def look(builds: Path) -> Iterator[Finding]:
    """Look at all of them.

    :param builds: a folder of builds, whose kernels KVM can be tried with.
    """
    yield _libvirt()
    native = next((row for row in TABLE.values() if os.uname().machine in row.uname), None)
    if native:
        yield _firmware(native)
        yield kvm(native, builds)
    yield binfmt(BINFMT)


def _libvirt() -> Finding:
    purpose = f"runs the machines that images are booted in ({default_uri()})"
    try:
        with connected() as connection:
            seen = f"{_version(connection.getLibVersion())}, QEMU {_version(connection.getVersion())}"
    except DebfleetError as error:
        return Finding(GROUP, "libvirt", MISSING, purpose, ": ".join(filter(None, (error.what, error.why))), error.hint)
    except Exception as error:  # libvirt's own, which can be imported only where it is installed
        return Finding(GROUP, "libvirt", MISSING, purpose, str(error), "apt-get install libvirt-daemon-driver-qemu")
    return Finding(GROUP, "libvirt", OK, purpose, seen)


def _version(number: Any) -> str:
    return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"


def _firmware(row: Architecture) -> Finding:
    purpose = "boots images by UEFI"
    files = row.firmware.get("uefi")
    if files and not Path(files.code).exists():
        return Finding(GROUP, "UEFI", WARN, purpose, f"there is no {files.code}", f"apt-get install {files.package}")
    return Finding(GROUP, "UEFI", OK, purpose)


def kvm(row: Architecture, builds: Path) -> Finding:
    """Whether a kernel really runs on KVM. The answer is kept until this machine boots again."""
    purpose = "boots images at full speed; emulation is some ten times slower"
    try:
        find(row.emulator, row.packages[0])
        found = acceleration.known(row)
        if found is None:
            with tempfile.TemporaryDirectory(prefix="debfleet-doctor.") as scratch:
                found = acceleration.choose("auto", row, kernel(builds, Path(scratch)))
    except DebfleetError as error:
        return Finding(GROUP, "KVM", WARN, purpose, error.what, error.hint)
    if found.name == "kvm":
        return Finding(GROUP, "KVM", OK, purpose, found.reason)
    return Finding(GROUP, "KVM", WARN, purpose, found.reason, _mend(found.reason))


def _mend(reason: str) -> str:
    """The command that mends KVM, by what is wrong with it."""
    if "at hand" in reason:
        return "build an image, then ask again: its kernel is tried"
    if "permission" in reason:
        return f"sudo usermod -aG kvm {pwd.getpwuid(os.geteuid()).pw_name}, and log in again"
    flags = CPU.read_text(encoding="utf-8").split() if CPU.exists() else []
    module = "kvm_amd" if "svm" in flags or "AuthenticAMD" in flags else "kvm_intel"
    if "there is no" in reason and ("vmx" in flags or "svm" in flags):
        return f"modprobe {module}"
    if "hypervisor" in flags:
        return (
            f"on the host of this virtual machine: modprobe -r {module}; modprobe {module} nested=1, and give it "
            "the host's CPU; until then all is emulated, by itself"
        )
    return "turn on virtualisation (VT-x, AMD-V) in the firmware's set-up"


def kernel(builds: Path, scratch: Path) -> Path | None:
    """A kernel to try KVM with: of this machine, else of an image in the folder of builds."""
    own = kernels.newest(path.name for path in BOOT.glob(kernels.GLOB) if os.access(path, os.R_OK))
    if own:
        return BOOT / own
    for folder in sorted(builds.glob("*")):
        with contextlib.suppress(DebfleetError, OSError):
            image = ImageFolder.read(folder)
            if os.uname().machine not in image.architecture.kvm_on:
                continue
            if (folder / "vmlinuz").is_file():
                return folder / "vmlinuz"
            taken = image_kernel.extract(image.file(), image.format(), image.partitions(), scratch)
            if taken:
                return taken[0]
    return None


def binfmt(folder: Path) -> Finding:
    """Whether programs of other architectures run here, by emulation."""
    purpose = "runs programs of other architectures, by emulation"
    install = "apt-get install --no-install-recommends qemu-user-static binfmt-support"
    if not (folder / "register").exists():
        fix = f"mount -t binfmt_misc binfmt_misc {folder} && {install}"
        return Finding(GROUP, "binfmt_misc", WARN, purpose, "it is not mounted", fix)
    handlers = sorted(path.name for path in folder.glob("qemu-*"))
    enabled = [name for name in handlers if (folder / name).read_text(encoding="utf-8").startswith("enabled")]
    if not handlers:
        return Finding(GROUP, "binfmt_misc", WARN, purpose, "no emulator is registered", install)
    if len(enabled) < len(handlers):
        off = [name for name in handlers if name not in enabled]
        fix = " && ".join(f"update-binfmts --enable {name}" for name in off)
        return Finding(GROUP, "binfmt_misc", WARN, purpose, f"switched off: {', '.join(off)}", fix)
    return Finding(GROUP, "binfmt_misc", OK, purpose, ", ".join(name.removeprefix("qemu-") for name in enabled))
