# SPDX-License-Identifier: GPL-3.0-or-later
"""What a folder of builds holds: finished images, builds that run, logs of those that failed, and what is broken."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DebfleetError
from ..ledger import Ledger
from ..sizes import shown
from ..workspace import LEDGER
from . import metadata
from .contents import LOG, SUMS
from .publish import METADATA

SCHEMA_VERSION = 1
FAILED = ".failed.log"
CLEAN, SEEN = ": clean", re.compile(r": (\d+ things? wrong or unread)$")  # how an inspection's last line ends
EXPECTED = ("manifest.json", "packages.json", SUMS)  # beside metadata.json and the image
LAST = 65536  # bytes at the end of a failed log that are searched for its last command

PROVEN, UNPROVEN, OTHER = "yes", "no", "of other bytes"


@dataclass(frozen=True)
class Build:
    """One line of the list.

    :param state: ok, broken, failed (its log is all there is), building, or left (of a build that was killed).
    :param sizes: bytes: virtual (as a guest sees the disk), allocated (on our disk) and file; empty where unknown.
    :param built: when, in UTC, as metadata.json has it; for a failed build the time of its log.
    :param seconds: how long the phases took.
    :param proof: yes, no, or of other bytes than the image has.
    :param inspection: clean, what was found, or empty where the log doesn't tell.
    :param problems: what is broken, or why it failed, in words.
    """

    name: str
    path: str
    state: str
    release: str = ""
    architecture: str = ""
    format: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    built: str = ""
    seconds: float | None = None
    proof: str = UNPROVEN
    firmware: Sequence[str] = ()
    inspection: str = ""
    debfleet: str = ""
    problems: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """As in schemas/images.json."""
        return {**asdict(self), "firmware": list(self.firmware), "problems": list(self.problems)}


def builds(folder: Path, *, verify: bool = False) -> list[Build]:
    """All that lies in a folder of builds, by name. Raises DebfleetError where there is no such folder.

    :param verify: read each image whole, and compare its bytes with what metadata.json says of them.
    """
    if not folder.is_dir():
        raise DebfleetError(
            f"there is no folder {folder}", hint="name the folder that builds were put in: image list DIR"
        )
    return sorted(_found(folder, verify), key=lambda build: (build.name, build.state != "ok", build.path))


def _found(folder: Path, verify: bool) -> Iterator[Build]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            if (path / LEDGER).is_file():
                yield _running(path)
        elif path.name.endswith(FAILED) and path.is_file():
            yield _failed(path)
        elif path.is_dir():
            yield _finished(path, verify)


def _running(path: Path) -> Build:
    name = path.name[1:].rpartition("-")[0]
    try:
        alive = Ledger.load((path / LEDGER).read_text(encoding="utf-8")).owner.alive()
    except (OSError, ValueError, KeyError):
        alive = False
    if alive:
        return Build(name, str(path), "building")
    return Build(name, str(path), "left", problems=("its build was killed; the next one removes it",))


def _failed(path: Path) -> Build:
    stat = path.stat()
    built = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(stat.st_mtime))
    with path.open("rb") as log:
        log.seek(max(0, stat.st_size - LAST))
        lines = log.read().decode(errors="replace").splitlines()
    return Build(path.name.removesuffix(FAILED), str(path), "failed", built=built, problems=tuple(_last_words(lines)))


def _last_words(lines: Sequence[str]) -> list[str]:
    """The command that a log says failed last, and its last line; the log's last line where no command did."""
    said = [line[9:] for line in lines]  # without the time of day
    for end in range(len(said) - 1, -1, -1):
        if said[end].startswith("= exit ") and not said[end].startswith("= exit 0 "):
            start = next((n for n in range(end, -1, -1) if said[n].startswith("+ ")), None)
            words = [line[2:].strip() for line in said[:end] if line.startswith("| ") and line[2:].strip()]
            command = said[start][2:] if start is not None else "a command"
            return [f"{command}: {said[end][2:].partition(' after')[0]}", *words[-1:]]
    return [line.strip() for line in said[-1:] if line.strip()]


def _finished(path: Path, verify: bool) -> Build:
    problems: list[str] = []
    told = _json(path / METADATA, problems)
    if not told:
        problems = problems or [f"it has no {METADATA}: no build made it"]
        return Build(path.name, str(path), "broken", problems=tuple(problems))
    problems += [f"{name} is missing" for name in EXPECTED if not (path / name).is_file()]
    sizes = {name: int(size) for name, size in (told.get("sizes") or {}).items()}
    problems += _image_problems(path / str(told.get("file", "")), sizes, str(told.get("sha256", "")), verify)
    proof = _json(path / "proof.json", problems)
    seconds = told.get("seconds") or {}
    return Build(
        name=str(told.get("name") or path.name),
        path=str(path),
        state="broken" if problems else "ok",
        release=str(told.get("release", "")),
        architecture=str(told.get("architecture", "")),
        format=str(told.get("format", "")),
        sizes=sizes,
        built=str(told.get("built", "")),
        seconds=round(sum(seconds.values()), 1) if seconds else None,
        proof=UNPROVEN if not proof else PROVEN if proof.get("sha256") == told.get("sha256") else OTHER,
        firmware=tuple(str(boot.get("firmware")) for boot in proof.get("boots") or []),
        inspection=_inspection(path / LOG),
        debfleet=str(told.get("debfleet", "")),
        problems=tuple(problems),
    )


def _image_problems(image: Path, sizes: Mapping[str, int], digest: str, verify: bool) -> list[str]:
    if not image.is_file():
        return [f"its image is missing: {image.name or 'none is named'}"]
    size = image.stat().st_size
    if size != sizes.get("file", size):
        return [f"{image.name} has {size} bytes, and had {sizes['file']} when it was built"]
    if verify and metadata.sha256(image) != digest:
        return [f"{image.name} has other bytes than it had when it was built"]
    return []


def _json(path: Path, problems: list[str]) -> dict[str, Any]:
    """A JSON file's object; empty where there is none, or where it can't be read, which is a problem."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(read, dict):
            return read
        problems.append(f"{path.name} holds no object")
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} can't be read: {error}")
    return {}


def _inspection(log: Path) -> str:
    """What the build's inspection said, as its log has it."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        if line[9:10] in "+|=#":  # commands and what they said
            continue
        if line.endswith(CLEAN):
            return "clean"
        if found := SEEN.search(line):
            return found[1]
    return ""


COLUMNS = ("name", "release", "arch", "format", "size", "virtual", "built", "took", "proof", "inspection", "debfleet")
NUMBERS = {"size", "virtual", "took"}


def to_text(found: Sequence[Build], *, header: bool = True) -> str:
    """The list as a table; below a line, what is wrong with it."""
    rows = [_row(build) for build in found]
    widths = [max(len(row[n]) for row in [COLUMNS, *rows]) for n in range(len(COLUMNS))]
    lines = [_line(COLUMNS, widths)] if header and found else []
    for build, row in zip(found, rows, strict=True):
        lines.append(_line(row, widths))
        lines += [f"  {build.state}: {problem}" for problem in build.problems]
    return "".join(f"{line}\n" for line in lines)


def _row(build: Build) -> tuple[str, ...]:
    finished = build.state in ("ok", "broken")
    proof = f"{build.proof} ({', '.join(build.firmware)})" if build.firmware else build.proof
    return tuple(
        text or "-"
        for text in (
            build.name,
            build.release,
            build.architecture,
            build.format if finished else build.state,
            shown(build.sizes["allocated"]) if "allocated" in build.sizes else "",
            shown(build.sizes["virtual"]) if "virtual" in build.sizes else "",
            build.built.replace("T", " ").removesuffix("Z")[:16],
            f"{build.seconds:.0f} s" if build.seconds is not None else "",
            proof if finished else "",
            build.inspection,
            build.debfleet,
        )
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    pairs = zip(COLUMNS, cells, widths, strict=True)
    return "  ".join(
        f"{cell:>{width}}" if name in NUMBERS else f"{cell:{width}}" for name, cell, width in pairs
    ).rstrip()
