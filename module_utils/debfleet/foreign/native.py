# SPDX-License-Identifier: GPL-3.0-or-later
"""Native tools out of packages: programs and libraries that work where they are bound, in a tree of whatever kind.

Paths that are built into them, of the dynamic loader, of libraries, of perl's modules, are replaced by ones below
programs.NATIVE that are as long, padded with slashes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from ..architectures import Architecture
from ..binfmt import elf
from ..binfmt.programs import NATIVE
from ..errors import DebfleetError
from ..run import run
from . import table

LIBRARIES, PROGRAMS, ROOM, LOADER = "lib", "x", "a", "ld.so"
MERGED = ("bin/", "sbin/", "lib/", "lib64/")
PYTHON_LIBRARY = re.compile(r"usr/lib/(python3\.\d+)/(.+)")
# perl finds its modules where the image has them, so that it knows those and no others; only their compiled parts come
# from the tools. These two of its modules load them, and are found first. It is not told the path that it has here.
PERL = "perl*"
FIRST, IMAGE = "o", f"{ROOM}/l"
PERL_LOADERS = ("XSLoader.pm", "DynaLoader.pm")
LOAD = "dl_load_file($file,"
LOAD_NATIVE = f"dl_load_file($file =~ s{{^(?:{NATIVE}/+{IMAGE}|/usr/lib/[^/]+)/(?=perl)}}{{{NATIVE}/{LIBRARIES}/}}r,"
# Of Python's library, what compiling byte code takes; the rest is read from its source.
COMPILED = ("", "collections", "concurrent", "concurrent/futures", "encodings", "importlib", "multiprocessing", "re")


Patch = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Patches:
    """What replaces paths in files, and in perl itself."""

    usual: Patch
    perl: Patch


@dataclass
class Made:
    """What was made: the programs, paths below the root, each with the package it is of."""

    programs: dict[str, str] = field(default_factory=dict)


def replacements(row: Architecture) -> dict[bytes, bytes]:
    """What is replaced in programs of this machine's architecture, by what.

    :raises DebfleetError: where a path is too short to be replaced.
    """
    pairs = {
        row.interpreter: f"/{LOADER}",
        f"/usr/lib/{row.triplet}": f"/{LIBRARIES}",
        f"/lib/{row.triplet}": f"/{LIBRARIES}",
    }
    found = {}
    for old, tail in pairs.items():
        slashes = len(old) - len(NATIVE) - len(tail)
        if slashes < 0:
            raise DebfleetError(f"there are no native tools on {row.name}", why=f"{old} is too short to be replaced")
        found[old.encode()] = (NATIVE + "/" * slashes + tail).encode()
    return found


def patcher(pairs: Mapping[bytes, bytes]) -> Patch:
    """What replaces these in a file's content; the first that fits."""
    pattern = re.compile(b"|".join(map(re.escape, pairs)))
    return lambda content: pattern.sub(lambda match: pairs[match[0]], content)


def _perl_replacements(row: Architecture) -> dict[bytes, bytes]:
    pairs = {f"/usr/local/lib/{row.triplet}": f"/{FIRST}", f"/usr/lib/{row.triplet}/perl": f"/{IMAGE}/perl"}
    found = {}
    for old, tail in pairs.items():
        found[old.encode()] = (NATIVE + "/" * (len(old) - len(NATIVE) - len(tail)) + tail).encode()
    return {**found, b"/proc/self/exe": b"/proc/self/eXe", **replacements(row)}


def make(packages: Mapping[str, Path], row: Architecture, into: Path) -> Made:
    """Make the tree of tools in an empty folder.

    :param packages: .deb files by the name of their package: those of the table, and all that they depend on.
    :param row: this machine's architecture.
    :raises DebfleetError: where a package can't be read.
    """
    made, patches = Made(), Patches(patcher(replacements(row)), patcher(_perl_replacements(row)))
    (into / ROOM).mkdir(parents=True)
    for name in (LIBRARIES, PROGRAMS):
        (into / name).mkdir()
    with ThreadPoolExecutor() as several:
        for found in several.map(lambda one: _unpack(one[0], one[1], row, patches, into), packages.items()):
            made.programs |= found
    shutil.copy2(into / LIBRARIES / Path(row.interpreter).name, into / LOADER)
    _load_natively(into)
    for version in sorted((into / PROGRAMS / "usr/lib").glob("python3.*")):
        _compile(into, row, version.name)
    return made


def _load_natively(into: Path) -> None:
    """Make the modules that perl loads compiled parts with."""
    found = re.search(rf"/{FIRST}/(perl/[\d.]+)".encode(), (into / PROGRAMS / "usr/bin/perl").read_bytes())
    if found is None:
        raise DebfleetError("this perl has another way of finding its modules")
    folder = into / FIRST / found[1].decode()
    for name in PERL_LOADERS:
        text = (into / LIBRARIES / "perl-base" / name).read_text(encoding="utf-8")
        if LOAD not in text:
            raise DebfleetError(f"this perl's {name} has another way of loading modules")
        _write(folder / name, text.replace(LOAD, LOAD_NATIVE).encode(), 0o644)


def _unpack(package: str, deb: Path, row: Architecture, patches: Patches, into: Path) -> dict[str, str]:
    patch = patches.usual
    taken = any(fnmatch(package, pattern) for pattern in (*table.PACKAGES, table.PYTHON_PROGRAMS))
    programs: dict[str, str] = {}
    beside = {name for name, pattern in table.BESIDE_LIBRARIES.items() if fnmatch(package, pattern)}
    for member, read in _members(deb):
        path = member.name.removeprefix("./")
        path = f"usr/{path}" if path.startswith(MERGED) else path
        library = path.removeprefix(f"usr/lib/{row.triplet}/")
        if library != path:
            _library(member, read, patch, into / LIBRARIES / library, row)
            if library in beside and member.isreg():
                programs[f"{LIBRARIES}/{library}"] = package
        elif PYTHON_LIBRARY.match(path) and member.isreg():
            _write(into / PROGRAMS / path, patch(read()), member.mode)
        elif taken and (member.isreg() or member.islnk()) and _is_tool(path):
            if member.islnk():
                other = member.linkname.removeprefix("./")
                other = f"usr/{other}" if other.startswith(MERGED) else other
                if other in programs:
                    shutil.copy2(into / PROGRAMS / other, into / PROGRAMS / path)
                    programs[path] = package
                continue
            content = read()
            if member.mode & 0o111 and elf.matches(row, content[: elf.HEADER]):
                of_perl = fnmatch(Path(path).name, PERL)
                _write(into / PROGRAMS / path, (patches.perl if of_perl else patch)(content), 0o755)
                programs[path] = package
    return programs


def _is_tool(path: str) -> bool:
    folder, _, name = path.removeprefix("usr/").rpartition("/")
    return path.startswith("usr/") and folder in table.FOLDERS and name not in table.EMULATED


def _library(
    member: tarfile.TarInfo,
    read: Callable[[], bytes],
    patch: Patch,
    to: Path,
    row: Architecture,
) -> None:
    if member.issym():
        target = patch(member.linkname.encode()).decode()
        to.parent.mkdir(parents=True, exist_ok=True)
        to.symlink_to(target)
    elif member.isreg():
        _write(to, patch(read()), member.mode)
    elif member.islnk():
        other = member.linkname.removeprefix("./").removeprefix("usr/").removeprefix(f"lib/{row.triplet}/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(to.parents[len(Path(other).parts) - 1] / other, to)


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755 if mode & 0o111 else 0o644)


def _members(deb: Path) -> Iterator[tuple[tarfile.TarInfo, Callable[[], bytes]]]:
    """The members of a package's archive as they come, each with what reads it."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isreg() else None
                    yield member, (file.read if file else bytes)
        except tarfile.TarError as error:
            raise DebfleetError(f"{deb.name} can't be unpacked", why=str(error)) from error
        process.stdout.read()
    if process.returncode:
        raise DebfleetError(f"{deb.name} can't be unpacked", why=f"dpkg-deb: exit {process.returncode}")


def _compile(into: Path, row: Architecture, version: str) -> None:
    """Compile what Python needs of its own library, by itself: it starts in a third of the time."""
    library = into / PROGRAMS / "usr/lib" / version
    interpreter = into / PROGRAMS / "usr/bin" / version
    if not interpreter.exists():
        return
    files = [str(file) for name in COMPILED for file in sorted((library / name).glob("*.py"))]
    loader: list[str | Path] = [into / LIBRARIES / Path(row.interpreter).name, "--library-path", into / LIBRARIES]
    how = ["-I", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-i", "-"]
    run([*loader, interpreter, *how], stdin="\n".join(files), check=False)


def patched_dpkg(content: bytes, here: str, there: str) -> bytes | None:
    """A tool of dpkg that says it is of another architecture; None where the other's name has no room."""
    if len(there) > len(here):
        return None
    return content.replace(here.encode() + b"\0", there.encode() + b"\0" * (1 + len(here) - len(there)))
