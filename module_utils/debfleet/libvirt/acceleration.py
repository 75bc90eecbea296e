# SPDX-License-Identifier: GPL-3.0-or-later
"""KVM or emulation: KVM only where a guest really gets somewhere on it.

A /dev/kvm that opens proves little: on some clouds' nested virtualisation it makes machines and runs a boot sector,
and a kernel hangs right after its bootloader. So a kernel is booted on it, with nothing to mount as root: one that
works panics about just that, within a second or two. The answer is kept until the next boot of this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import journal
from ..architectures import Architecture
from ..errors import MissingError
from ..ledger import cache_folder
from ..run import end_group, find, run
from . import image_kernel
from .image import ImageFolder

KVM = Path("/dev/kvm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MEMORY = 256  # MiB of the machine that tries it
PATIENCE = 10.0  # seconds that the kernel has on KVM
THROUGH = ("Unable to mount root fs", "No working init found", "Kernel panic - not syncing: VFS")
STARTED = "Linux version"
MODES = ("auto", "kvm", "tcg")


@dataclass(frozen=True)
class Acceleration:
    """What runs the guests (kvm or tcg), and why."""

    name: str
    reason: str


def choose(wanted: str, row: Architecture, kernel: Path | None) -> Acceleration:
    """Choose between kvm and tcg.

    :param wanted: auto, kvm or tcg.
    :param kernel: a kernel of this architecture to try KVM with; None where there is none.
    Raises MissingError when kvm is wanted and doesn't work.
    """
    if wanted == "tcg":
        return Acceleration("tcg", "emulation was asked for")
    found = known(row) or (_tried(row, kernel) if kernel else _no_kernel())
    journal.log(f"acceleration: {found.name}: {found.reason}")
    if wanted == "kvm" and found.name != "kvm":
        raise MissingError("KVM does not work here", why=found.reason, hint="accelerator: tcg emulates instead")
    return found


def of_image(wanted: str, row: Architecture, image: ImageFolder | None, kernel: Path | None) -> Acceleration:
    """Choose as `choose` does; the kernel to try KVM with comes out of the image where none is given.

    An emulator that isn't installed is no reason to fail unless KVM is wanted: what shall run may run elsewhere.
    """
    try:
        if kernel or image is None or wanted == "tcg" or known(row):
            return choose(wanted, row, kernel)
        with tempfile.TemporaryDirectory(prefix="debfleet-kernel-") as scratch:
            taken = image_kernel.extract(image.file(), image.format(), image.partitions(), Path(scratch))
            return choose(wanted, row, taken[0] if taken else None)
    except MissingError as error:
        if wanted == "kvm":
            raise
        return Acceleration("tcg", error.what)


def known(row: Architecture) -> Acceleration | None:
    """What is known without trying a kernel: KVM can't be opened, or it was tried since this machine's boot."""
    return _obstacle(row) or _remembered(row)


def _no_kernel() -> Acceleration:
    return Acceleration("tcg", "/dev/kvm opens, but there is no kernel at hand to try it with")


def _obstacle(row: Architecture) -> Acceleration | None:
    """What keeps KVM from being tried at all."""
    machine = os.uname().machine
    if machine not in row.kvm_on:
        return Acceleration("tcg", f"this machine is {machine}, the guest {row.name}")
    if not KVM.exists():
        return Acceleration("tcg", f"there is no {KVM}")
    if not os.access(KVM, os.R_OK | os.W_OK):
        return Acceleration("tcg", f"no permission to open {KVM}; being in the group kvm gives it")
    return None


def _cache() -> Path:
    return cache_folder() / "acceleration.json"


def _key(row: Architecture) -> str:
    emulator = run([find(row.emulator, row.packages[0]), "--version"]).stdout.partition("\n")[0]
    return f"{BOOT_ID.read_text(encoding='utf-8').strip()} {emulator}"


def _answers() -> dict[str, dict[str, str]]:
    """What is kept: for each architecture the key it was found with, and the answer."""
    try:
        kept = json.loads(_cache().read_text(encoding="utf-8"))
        return {row: dict(answer) for row, answer in kept["answers"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _remembered(row: Architecture) -> Acceleration | None:
    kept = _answers().get(row.name)
    if kept is None or kept.pop("key", None) != _key(row):
        return None
    try:
        return Acceleration(**kept)
    except TypeError:
        return None


def _tried(row: Architecture, kernel: Path) -> Acceleration:
    said, seconds = _boot(row, kernel)
    if any(sign in said for sign in THROUGH):
        found = Acceleration("kvm", f"a kernel came through on KVM in {seconds:.1f} s")
    elif STARTED in said:
        found = Acceleration("tcg", f"a kernel starts on KVM and hangs: not through after {seconds:.0f} s")
    else:
        found = Acceleration("tcg", f"{KVM} opens, but a kernel says nothing on it in {seconds:.0f} s")
    with contextlib.suppress(OSError):
        _cache().parent.mkdir(parents=True, exist_ok=True)
        new = _cache().with_name(f"acceleration.{os.getpid()}")
        answers = {**_answers(), row.name: {"key": _key(row), **asdict(found)}}
        new.write_text(json.dumps({"answers": answers}), encoding="utf-8")
        new.replace(_cache())
    return found


def trial(row: Architecture, kernel: Path, accelerator: str = "kvm") -> list[str]:
    """The words that boot a kernel alone, on the usual machine of its architecture."""
    machine, memory = row.machine, max(MEMORY, (row.machine.memory or (0, 0))[0])
    words = [
        find(row.emulator, row.packages[0]),
        "-machine",
        ",".join([machine.name, f"accel={accelerator}", *machine.kvm]),
    ]
    words += ["-cpu", "max"] if machine.cpu else []
    words += ["-m", str(memory), "-nodefaults", "-no-user-config"]
    words += ["-display", "none", "-no-reboot", "-serial", "stdio"]
    return [*words, "-kernel", str(kernel), "-append", f"console={machine.serial} panic=-1"]


def _boot(row: Architecture, kernel: Path) -> tuple[str, float]:
    """Boot the kernel on KVM, alone. Returns what it said, and the seconds it took."""
    argv = trial(row, kernel)
    journal.log("+ trying KVM: " + " ".join(argv))
    began = time.monotonic()
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    said = ""
    try:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        while time.monotonic() - began < PATIENCE and not any(sign in said for sign in THROUGH):
            ended = process.poll() is not None
            said += (process.stdout.read() or b"").decode(errors="replace")
            if ended:
                break
            time.sleep(0.05)
    finally:
        end_group(process)
    journal.log("\n".join("| " + line for line in said.splitlines()[-20:]))
    return said, time.monotonic() - began
