# SPDX-License-Identifier: GPL-3.0-or-later
"""Entering an image without changing it: an overlay over each of its filesystems takes what is written.

The image is mounted read only in a namespace of its own, as for an inspection; the overlays lie there too. What has to
be a file (a raw copy of a qcow2, what is written while inside) is in a folder that a ledger holds. A reaper releases it
should we be killed; the mounts, loop devices and processes end with the namespaces.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import reaper
from ..binfmt import programs
from ..binfmt.programs import Programs
from ..errors import DebfleetError, MissingError
from ..folder.packages import STATUS, stanzas
from ..inspect import reader
from ..inspect.fstab import entries, named
from ..inspect.host import Host
from ..inspect.mounts import private
from ..inspect.reader import LENIENT
from ..inspect.root import Root
from ..inspect.subject import Part, Subject
from ..ledger import Ledger, heal
from ..namespace import ENTER, ENVIRONMENT, INIT, UNSHARE, proxies
from ..process import Process
from ..run import CommandError, run
from .terminal import attached, controlling, in_foreground

NOT_EXECUTABLE = 126  # chroot's code where the kernel can't run the program
# As process 1 of its namespace a program would hear no Ctrl-C: it gets a parent that is. $1 is the hostname.
BESIDE = 'hostname "$1" 2>/dev/null; ip link set lo up 2>/dev/null; shift; "$@"; exit $?'
# At a terminal the program is a job of that parent: a shell can't work with a process group from outside.
JOB = f"set -m; {BESIDE}"
# $1 is the folder with what an overlay writes; $2, its name; $3 what is below; $4 where.
OVERLAY = (
    'mkdir -p "$1/$2/upper" "$1/$2/work" "$4" && '
    'chmod --reference="$3" "$1/$2/upper" && chown --reference="$3" "$1/$2/upper" && '
    'exec mount -t overlay -o "lowerdir=$3,upperdir=$1/$2/upper,workdir=$1/$2/work" overlay "$4"'
)
FOLDERS = ("dev", "proc", "sys", "run", "usr/sbin", "etc", "tmp")  # what entering a tree takes
VIEW, WRITTEN = "view", "written"


@dataclass(frozen=True)
class View:
    """An image as one enters it.

    :param holder: the process in whose mount namespace it is.
    :param place: where it is, as that process sees it.
    :param unread: what of the image could not be read, in words.
    """

    holder: int
    place: Path
    unread: tuple[str, ...] = ()

    @property
    def seen(self) -> Path:
        """Where we see it."""
        return Path(f"/proc/{self.holder}/root") / self.place.relative_to("/")

    def inside(self, argv: Sequence[str | Path]) -> list[str]:
        """The command that runs argv in the holder's namespace."""
        return [*("nsenter", "--target", str(self.holder), "--mount", "--root", "--wd", "--"), *map(str, argv)]


def enter(path: Path, command: Sequence[str], *, network: bool = False, scratch: Path | None = None) -> int:
    """Run a command in an image, or a shell when none is given, and return its exit code.

    :param path: a build's folder, an image file of any format that qemu-img reads, or a root tree.
    :param network: let it use the builder's network; else it has none.
    :param scratch: a folder for what is written meanwhile; else TMPDIR or /var/tmp.
    Raises MissingError where a tool, a right or an emulator is missing, DebfleetError where the image can't be entered.
    """
    heal()
    pid = os.getpid()
    suffix = os.urandom(4).hex()
    folder = (scratch or Path(os.environ.get("TMPDIR") or "/var/tmp")) / f"debfleet-shell.{pid}.{suffix}"
    ledger = Ledger.open(f"shell.{pid}.{suffix}", Process.of(pid))
    try:
        ledger.add("folder", path=str(folder))
        folder.mkdir(0o700)
        reaper.start(ledger)
        return _enter(path, command, network, folder)
    finally:
        ledger.release()


def _enter(path: Path, command: Sequence[str], network: bool, folder: Path) -> int:
    if reader.is_tree(path):
        place = folder / "mnt"
        place.mkdir()
        with private(place) as mounts:
            below = View(mounts.pid, place / VIEW)
            return _run(_laid_over(below, (Part("/", path.absolute()),), folder), path, command, network)
    with reader.opened(path, None, Host(), folder) as subject:
        if not subject.has_root:
            why = "\n".join(subject.unread)
            raise DebfleetError("there is no system to enter in this image", where=str(path), why=why)
        place = subject.parts[0].place
        top = next(parent for parent in place.parents if parent.name == "mnt")
        view = _laid_over(View(subject.holder, top / VIEW, tuple(subject.unread)), subject.parts, folder)
        _show_esp(view, subject, folder)
        return _run(view, path, command, network)


def _laid_over(view: View, parts: Sequence[Part], folder: Path) -> View:
    """Mount an overlay over each filesystem: what is written goes to the folder, or to memory where that can't be."""
    memory = view.place.parent / WRITTEN
    for number, part in enumerate(parts):
        where = view.place / part.where.lstrip("/")
        words: list[str | Path] = [str(number), part.place, where]
        try:
            run(view.inside(["sh", "-c", OVERLAY, "sh", folder / WRITTEN, *words]))
        except CommandError:  # the folder's own filesystem can't carry an overlay, being one itself perhaps
            try:
                if not number:
                    run(view.inside(["sh", "-c", 'mkdir "$1" && mount -t tmpfs tmpfs "$1"', "sh", memory]))
                run(view.inside(["sh", "-c", OVERLAY, "sh", memory, *words]))
            except CommandError as error:
                hint = "modprobe overlay; in a container, let it mount (--privileged)"
                raise MissingError("could not lay anything over the image", why=error.why, hint=hint) from error
    return view


def _show_esp(view: View, subject: Subject, folder: Path) -> None:
    """Show copies of the FAT filesystems that fstab names: an overlay can't lie over these."""
    for spec, where, *_ in entries(subject.root.text("/etc/fstab") or ""):
        one = named(spec, subject.filesystems)
        onto = Root(view.seen).locate(where) if one and one.kind == "vfat" else None
        if one is None or onto is None:
            continue
        copy = folder / f"fat{one.number}"
        copy.mkdir()
        run(
            ["mcopy", "-s", "-n", "-p", "-m", "-i", f"{subject.raw}@@{one.start}", "::*", copy],
            env=LENIENT,
            check=False,
        )
        run(view.inside(["mount", "--bind", copy, view.place / onto.relative_to(view.seen)]))


def _run(view: View, path: Path, command: Sequence[str], network: bool) -> int:
    root = Root(view.seen)
    _make_ready(root)
    how = programs.emulated_here(root.top)
    _require_runnable(view, root, how)
    shell = "/bin/bash" if root.exists("/bin/bash") else "/bin/sh"
    environment = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("DEB")}
    environment |= {"debian_chroot": path.absolute().name, **(proxies() if network else {})}
    environment |= {name: os.environ[name] for name in ("TERM", "COLORTERM", "LINES", "COLUMNS") if name in os.environ}
    variables = [f"{name}={value}" for name, value in environment.items()]
    hostname = (root.text("/etc/hostname") or "").strip() or "image"
    enter_tree = ["sh", "-c", ENTER, "sh", str(view.place)] if network else ["chroot", str(view.place)]
    words = [*enter_tree, "/usr/bin/env", "-i", *variables, *(command or [shell])]
    spaces = [*UNSHARE, *([] if network else ["--net"]), "--mount-proc", "--"]
    ready: list[str | Path] = [*how.registering(), *spaces, "sh", "-c", INIT, "sh", view.place, "--"]
    if all(map(os.isatty, range(3))) and in_foreground(os.getpid()):
        with controlling() as terminal:  # /dev/tty, which the image has too; it doesn't see the builder's /dev/pts
            return attached(view.inside([*ready, "bash", "-c", JOB, "bash", hostname, *words]), terminal=terminal)
    return attached(view.inside([*ready, "sh", "-c", BESIDE, "sh", hostname, *words]))


def _make_ready(root: Root) -> None:
    """Make what entering a tree takes and this one has not; only in the overlay."""
    for name in FOLDERS:
        if root.locate(name) is None and not os.path.lexists(root.top / name):
            (root.top / name).mkdir(parents=True)
    for name in ("/usr/sbin/policy-rc.d", "/etc/resolv.conf"):
        folder, _, file = name.rpartition("/")
        if not root.exists(name) and (there := root.locate(folder)):
            (there / file).touch()


def _require_runnable(view: View, root: Root, how: Programs) -> None:
    """Raise an error where this machine can't run the image's programs."""
    done = run(view.inside([*how.registering(), "chroot", view.place, "/bin/sh", "-c", "exit 0"]), check=False)
    if done.returncode == 0:
        return
    if done.returncode == NOT_EXECUTABLE:
        raise MissingError(
            f"the image is of {architecture(root)}, whose programs this machine can't run",
            why=done.stderr.strip(),
            hint="apt-get install qemu-user-static lets it run them; before Linux 6.7, with binfmt-support",
        )
    raise DebfleetError("the image has no shell that runs", why=done.stderr.strip() or f"exit {done.returncode}")


def architecture(root: Root) -> str:
    """The architecture of a tree, as its dpkg tells."""
    for fields in stanzas(root.text(f"/{STATUS}") or ""):
        if fields.get("Package") == "dpkg":
            return fields.get("Architecture", "")
    return "another architecture"
