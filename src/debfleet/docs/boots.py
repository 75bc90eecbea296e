# SPDX-License-Identifier: GPL-3.0-or-later
"""What was built and booted, and how far it came: a file in docs/data/boots/ for each manifest.

`make test-architectures-full` writes them, and docs/architectures.md is made of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from debfleet import house
from debfleet.common.libvirt.signs import LOGIN, REACHED, STAGES
from debfleet.common.libvirt.stages import clean

FOLDER = Path("docs/data/boots")
PROVEN = "proven"
HEADING = re.compile(r"=== boot by (\S+)")
WIDTH = 116  # characters of a line that is shown
LAST = 6  # lines that are shown of where a boot stopped


@dataclass(frozen=True)
class Record:
    """One manifest's last try.

    :param manifest: its file's name without .yml; `release` and `architecture` as it has them.
    :param time: the day, as 2026-11-25.
    :param built: seconds of the build; None where it failed, `why` says of what. `way` is how programs of the
        architecture ran in it.
    :param booted: how far the boot came: `proven`, or the stage that it stopped in; empty where it wasn't tried.
    :param seconds: of the boot, until the report from inside or the giving up.
    :param machine: its kind, the firmware, the emulator with its version.
    :param lines: of the console, one for each stage; and the last ones where it stopped.
    """

    manifest: str
    release: str
    architecture: str
    time: str
    built: float | None = None
    way: str = ""
    why: str = ""
    booted: str = ""
    seconds: float | None = None
    machine: str = ""
    firmware: str = ""
    accelerator: str = ""
    emulator: str = ""
    lines: tuple[str, ...] = field(default=())

    def write(self, folder: Path) -> None:
        """Write it into its file there."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**asdict(self), "lines": list(self.lines)}, indent=2, ensure_ascii=False)
        (folder / f"{self.manifest}.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Record:
        """What a file says. Raises TypeError where it says something else."""
        return cls(**{**told, "lines": tuple(told["lines"])})


def read(folder: Path | None = None) -> list[Record]:
    """All that there are, by the manifest's name."""
    paths = sorted((folder or house.root() / FOLDER).glob("*.json"))
    return [Record.of(json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def excerpt(serial: str, *, stopped: bool = False) -> list[str]:
    """The lines of a console by which a reader sees how far a boot came: the first of each stage, and the login prompt.

    :param serial: all that the console said, of several boots the last one counts.
    :param stopped: whether it stopped: then the last lines of all are shown too.
    """
    begun = [match.end() for match in HEADING.finditer(serial)]
    lines = [line.strip() for line in clean(serial[begun[-1] if begun else 0 :]).splitlines()]
    wanted: set[int] = set()
    for pattern in (*(REACHED[stage] for stage in STAGES), LOGIN.rstrip(), r"Machine model: "):
        wanted.update(next(([n] for n, line in enumerate(lines) if re.search(pattern, line)), []))
    if stopped:
        wanted.update([n for n, line in enumerate(lines) if line][-LAST:])
    return [_cut(lines[number]) for number in sorted(wanted) if lines[number]]


def _cut(line: str) -> str:
    """A line no longer than the page is wide; a login prompt without what the kernel says behind it."""
    prompt = re.match(LOGIN.rstrip(), line)
    line = prompt[0] if prompt else line
    return line if len(line) <= WIDTH else line[: WIDTH - 2] + " …"
