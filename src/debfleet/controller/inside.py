# SPDX-License-Identifier: GPL-3.0-or-later
"""What ordinary modules find inside a tree while they run, and is not there afterwards: a Python, and apt's sources.

It lies in a folder of the build, which is bound to /run/.debfleet for each command. The Python is that of the tree's
own suite, with python3-apt, unpacked and not installed; it is started by its own path, so that nothing it starts itself
sees it. Where the tree has both packages, its own Python serves.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from debfleet.common.bootstrap import apt as apt_
from debfleet.common.bootstrap import status as apt_status
from debfleet.common.bootstrap.apt import NO_INITRAMFS, Apt
from debfleet.common.bootstrap.sources import parse_line
from debfleet.common.errors import DebfleetError
from debfleet.common.run import CommandError, run

FOLDER = "inside"  # in the work folder
AT = "/run/.debfleet"
PYTHON = f"{AT}/python/usr/bin/python3"
PACKAGES = ("python3", "python3-apt")
PYTHONS = re.compile(
    r"^Package: (?:(?:lib)?python3(?:\.\d+)?(?:-minimal|-stdlib|-apt)?|python-apt-common)$", re.MULTILINE
)
ENABLED = "Enabled: no"
ARCHIVE = "etc/apt/sources.list.d/debian.sources"
LIST = "etc/apt/sources.list.d/debfleet-build.list"
KEYS = "etc/apt/trusted.gpg.d"
COMPILED = f"-X pycache_prefix={AT}/cache/python"  # never in the tree; each module is compiled once a build
SELF = f"""#!/bin/sh
exec /usr/bin/python3 {COMPILED} "$@"
"""
APART = """#!/bin/sh
exec {loader} --argv0 {at}/usr/bin/python3 --library-path {libraries} {program} {compiled} "$@"
"""


@dataclass(frozen=True)
class Inside:
    """A tree, the build it belongs to, and the folder that is bound into it."""

    root: Path
    build: Path

    @property
    def folder(self) -> Path:
        """The folder, in the build's."""
        return self.build / FOLDER

    @property
    def binds(self) -> dict[str, str]:
        """For run_in_root."""
        return {str(self.folder): AT}

    @property
    def variables(self) -> dict[str, str]:
        """The environment of what runs inside."""
        return {"APT_CONFIG": f"{AT}/apt.conf", **NO_INITRAMFS}

    def made(self) -> bool:
        """Whether there is anything to lend."""
        return (self.folder / "python").exists()

    def make_python(self) -> None:
        """Make the Python, if it isn't there yet. Raises DebfleetError."""
        wrapper = self.folder / "python/usr/bin/python3"
        if wrapper.exists():
            return
        if all(_installed(self.root, package) for package in PACKAGES):
            wrapper.parent.mkdir(parents=True, exist_ok=True)
            wrapper.write_text(SELF, encoding="utf-8")
        else:
            python = self.folder / "python.new"
            shutil.rmtree(python, ignore_errors=True)
            self._unpack(python)
            _wrap(python)
            python.rename(self.folder / "python")
        wrapper.chmod(0o755)

    def _unpack(self, folder: Path) -> None:
        """The packages of Python that the tree lacks, with all they depend on and it lacks too."""
        apt = Apt.load(self.build)
        debs = self.folder / "debs"
        (debs / "partial").mkdir(parents=True, exist_ok=True)
        status = self.folder / "status"
        stanzas = (self.root / "var/lib/dpkg/status").read_text(encoding="utf-8", errors="replace").split("\n\n")
        status.write_text("\n\n".join(one for one in stanzas if not PYTHONS.search(one)), encoding="utf-8")
        options = {
            "Dir::State::status": status,
            "Dir::Cache::archives": debs,
            "Dir::Etc::sourcelist": apt.folder / "sources.list",
            "Dir::Etc::sourceparts": apt.folder / "none",
            "APT::Install-Recommends": "false",
            "APT::Keep-Downloaded-Packages": "true",
        }
        argv = ["apt-get", *(f"-o{name}={value}" for name, value in options.items())]
        try:
            apt_.ask(apt, [*argv, "--download-only", "install", *PACKAGES], root=self.root)
        except CommandError as error:
            why = apt_status.reasons(error.output)
            raise DebfleetError("could not get a Python to run the playbook with", why=why) from error
        for deb in sorted(debs.glob("*.deb")):
            run(["dpkg-deb", "--extract", deb, folder])
        shutil.rmtree(debs)


def _installed(root: Path, package: str) -> bool:
    status = (root / "var/lib/dpkg/status").read_text(encoding="utf-8", errors="replace")
    return bool(re.search(rf"^Package: {re.escape(package)}\nStatus: install ok installed$", status, re.MULTILINE))


def _wrap(python: Path) -> None:
    """Let an unpacked Python start with its own libraries, without a word in the environment, and find the tree's own
    modules after its own.
    """
    programs = [path for path in (python / "usr/bin").glob("python3.*") if re.fullmatch(r"python3\.\d+", path.name)]
    if len(programs) != 1:
        raise DebfleetError("the packages of Python hold no Python", why=f"found {[path.name for path in programs]}")
    at = f"{AT}/python"
    libraries = sorted(
        {f"{at}/{path.relative_to(python)}" for path in python.glob("**/lib/*-linux-gnu*") if path.is_dir()}
    )
    wrapper = python / "usr/bin/python3"
    wrapper.unlink(missing_ok=True)
    wrapper.write_text(
        APART.format(
            loader=interpreter(programs[0]),
            at=at,
            compiled=COMPILED,
            libraries=":".join(libraries) or f"{at}/usr/lib",
            program=f"{at}/usr/bin/{programs[0].name}",
        ),
        encoding="utf-8",
    )
    further = ["/usr/lib/python3/dist-packages", f"/usr/local/lib/{programs[0].name}/dist-packages"]
    (python / "usr/lib/python3/dist-packages/debfleet.pth").write_text("\n".join(further) + "\n", encoding="utf-8")


def interpreter(program: Path) -> str:
    """The dynamic loader that an ELF program names. Raises DebfleetError where it names none."""
    data = program.read_bytes()
    if data[:4] == b"\x7fELF":
        wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
        start, size, count = (
            (*struct.unpack_from(order + "Q", data, 32), *struct.unpack_from(order + "HH", data, 54))
            if wide
            else (*struct.unpack_from(order + "I", data, 28), *struct.unpack_from(order + "HH", data, 42))
        )
        for number in range(count):
            at = start + number * size
            if struct.unpack_from(order + "I", data, at)[0] == 3:  # PT_INTERP
                offset, length = (
                    (
                        struct.unpack_from(order + "Q", data, at + 8)[0],
                        struct.unpack_from(order + "Q", data, at + 32)[0],
                    )
                    if wide
                    else struct.unpack_from(order + "I8xI", data, at + 4)
                )
                return data[offset : offset + length].rstrip(b"\0").decode()
    raise DebfleetError(f"{program.name} names no dynamic loader")


@contextlib.contextmanager
def apt_of_the_build(inside: Inside) -> Iterator[None]:
    """Let apt inside the tree use the build's mirror, settings and lists; afterwards the tree has none of it.

    What the play itself changes in apt's configuration stays. Its own lists and downloads lie outside of the tree.
    """
    apt, folder, root = Apt.load(inside.build), inside.folder, inside.root
    for name in ("cache/archives/partial", "files", "auth.conf.d"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copytree(apt.folder / "lists", folder / "lists", dirs_exist_ok=True)
    if apt.own:
        for path in (Path("/etc/apt/auth.conf"), *Path("/etc/apt/auth.conf.d").glob("*.conf")):
            if path.is_file():
                shutil.copyfile(path, folder / "auth.conf.d" / path.name)
                (folder / "auth.conf.d" / path.name).chmod(0o600)
    (folder / "apt.conf").write_text(_settings(apt, folder), encoding="utf-8")
    archive, before = root / ARCHIVE, b""
    added = [root / KEYS / f"debfleet-{path.name}" for path in (apt.folder / "trusted.gpg.d").glob("*")]
    if archive.is_file():
        before = archive.read_bytes()
        archive.write_bytes(off := _off(before))
    (root / LIST).write_text("".join(f"{_line(line, folder)}\n" for line in _archive(apt)), encoding="utf-8")
    for path in added:
        shutil.copyfile(apt.folder / "trusted.gpg.d" / path.name.removeprefix("debfleet-"), path)
    try:
        yield
    finally:
        for path in (root / LIST, *added):
            path.unlink(missing_ok=True)
        if before and archive.is_file():
            now = archive.read_bytes()
            archive.write_bytes(before if now == off else re.sub(rb"(?m)^Enabled: no\n", b"", now))


def _off(sources: bytes) -> bytes:
    """A .sources file with every stanza turned off."""
    return re.sub(rb"(?m)^(Types:.*\n)", rb"\1" + ENABLED.encode() + b"\n", sources)


def _archive(apt: Apt) -> list[str]:
    """The build's sources of the archive itself: the further repositories of the manifest are in the tree already."""
    main = parse_line(apt.sources[0])
    suites = (main.suite, f"{main.suite}-updates", f"{main.suite}-security")
    return [line for line in apt.sources if parse_line(line).suite in suites]


def _line(line: str, folder: Path) -> str:
    """A source as the tree sees it: its key, a file of this machine, lies in the folder that is bound into it."""
    key = parse_line(line).signed_by
    if not key.startswith("/"):
        return line
    names = []
    for one in key.split(","):
        shutil.copyfile(one, folder / "files" / Path(one).name)
        names.append(f"{AT}/files/{Path(one).name}")
    return line.replace(f"signed-by={key}", f"signed-by={','.join(names)}")


def _settings(apt: Apt, folder: Path) -> str:
    """The apt.conf of what runs inside: the build's settings; files that they name come along."""

    def brought(match: re.Match[str]) -> str:
        path = Path(match[1])
        if not path.is_file():
            return match[0]
        shutil.copyfile(path, folder / "files" / path.name)
        return f'"{AT}/files/{path.name}"'

    lines = [
        f'Dir::State::lists "{AT}/lists";',
        f'Dir::Cache "{AT}/cache";',
        f'Dir::Etc::netrcparts "{AT}/auth.conf.d";',
        'APT::Sandbox::User "root";',
        'Acquire::Languages "none";',
        'Acquire::Retries "3";',
        'DPkg::Options:: "--force-unsafe-io";',
        *(re.sub(r'"(/[^"]+)"', brought, line) for line in apt.settings),
    ]
    return "\n".join(lines) + "\n"
