# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build of a manifest would do, read from its roles: nothing is run, and no mirror asked."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import bootloader
from ..architectures import TABLE
from ..disk import filesystems, layout
from ..errors import DebfleetError
from ..masking import masked
from ..phases import PHASES
from . import load, yaml_text
from .checking import Checked
from .problems import Positions, UnreadableError

WIDTH = 78
BLOCKS = ("block", "rescue", "always")


@dataclass(frozen=True)
class Task:
    """A task of a role's phase file."""

    name: str
    role: str


@dataclass(frozen=True)
class Plan:
    """The plan of one build. `packages` are those that are asked for by name; what they depend on comes with them.

    `manifest` is the canonical one, secrets masked, and `layers` the files that it is made of, each over the next.
    """

    name: str
    phases: Mapping[str, tuple[Task, ...]]
    disk: layout.Layout | None
    trouble: str
    packages: tuple[str, ...]
    not_built: tuple[str, ...]
    notices: tuple[str, ...]
    manifest: Mapping[str, Any]
    layers: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As ``manifest plan --json`` prints it."""
        phases = [
            {"phase": phase, "tasks": [{"role": task.role, "name": task.name} for task in self.phases.get(phase, ())]}
            for phase in PHASES
        ]
        return {
            "schema_version": 1,
            "name": self.name,
            "phases": phases,
            "layout": self.disk.to_dict() if self.disk else None,
            "packages": list(self.packages),
            "not_built": list(self.not_built),
            "notices": list(self.notices),
            "manifest": dict(self.manifest),
            "layers": list(self.layers),
        }

    def text(self, width: int = WIDTH) -> str:
        """For a reader."""
        lines = [self.name, ""]
        lines += [f"not built yet: {word}" for word in self.not_built]
        lines += [""] if self.not_built else []
        for number, phase in enumerate(PHASES, 1):
            lines.append(f"{number:2} {phase}")
            tasks = self.phases.get(phase, ())
            wide = max((len(task.role) for task in tasks), default=0)
            lines += [f"     {task.role:{wide}}  {task.name}" for task in tasks]
        lines.append("")
        if self.disk:
            lines += [layout.bar(self.disk, width).rstrip("\n"), ""]
        else:
            lines += [f"disk: {self.trouble}", ""]
        lines.append(f"{len(self.packages)} packages are asked for; what they depend on comes with them")
        lines += _wrapped(self.packages, width)
        if len(self.layers) > 1:
            from ruamel.yaml import YAML

            lines += ["", f"The manifest, as {' over '.join(self.layers)} gives it:"]
            text = io.StringIO()
            YAML().dump(dict(self.manifest), text)
            lines += [f"  {line}" for line in text.getvalue().splitlines()]
        return "\n".join(lines) + "\n"


def _wrapped(words: Sequence[str], width: int) -> list[str]:
    text = " ".join(words)
    lines = textwrap.wrap(text, width - 2, break_on_hyphens=False, break_long_words=False)
    return [f"  {line}" for line in lines]


def task_names(path: Path) -> list[str]:
    """The names of the tasks in a file, those of blocks too. A file that can't be read has none."""
    return [name for name, _ in tasks(path)]


def tasks(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each task of a file: its name, and its keys."""
    try:
        found = yaml_text.read(load.text_of(path, str(path)), Positions(str(path)))
    except UnreadableError:
        return
    yield from _of_list(found)


def _of_list(found: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for task in found if isinstance(found, list) else ():
        if not isinstance(task, dict):
            continue
        inner = [key for key in BLOCKS if key in task]
        for key in inner:
            yield from _of_list(task[key])
        if not inner:
            yield str(task.get("name") or next(iter(task), "")), task


def plan(checked: Checked, *, packages: Sequence[str] | None = None) -> Plan:
    """The plan of a checked manifest.

    :param packages: the packages that the roles ask for, where the caller can read their expressions; else those that
        the manifest and the task files name as they are.
    :raises ValueError: when the manifest has errors.
    """
    if checked.manifest is None:
        raise ValueError("a manifest with errors has no plan")
    data = checked.manifest.to_dict()
    phases = {
        phase: tuple(
            Task(name, role) for role in checked.phases.get(phase, ())
            for name in task_names(checked.roles[role] / "tasks" / f"{phase}.yml")
        )
        for phase in PHASES
    }  # fmt: skip
    disk, trouble = None, ""
    booted = {key: data["system"][key] for key in ("firmware", "bootloader")}
    try:
        disk = layout.plan(data["volume"], **booted, seed=data["name"])
    except DebfleetError as error:
        trouble = str(error)
    wanted = packages if packages is not None else asked(checked, data, disk)
    notices = tuple(str(notice) for notice in checked.notices)
    layers = tuple(map(str, checked.layers))
    return Plan(data["name"], phases, disk, trouble, tuple(wanted), checked.not_built, notices, masked(data), layers)


def asked(checked: Checked, data: Mapping[str, Any], disk: layout.Layout | None) -> list[str]:
    """The packages that are asked for: the manifest's, kernel, bootloader, filesystems, and those of task files."""
    row = TABLE.get(data["system"]["architecture"])
    facts: dict[str, Sequence[str]] = {"kernel_packages": row.kernel_packages if row else ()}
    facts["filesystem_packages"] = filesystems.packages(disk) if disk else ()
    try:
        facts["bootloader_packages"] = bootloader.packages(data["system"])
    except DebfleetError:
        facts["bootloader_packages"] = ()
    wanted: dict[str, None] = dict.fromkeys(data["bootstrapper"]["include_packages"])
    for role in checked.phases.get("package_installation", ()):
        for _, task in tasks(checked.roles[role] / "tasks" / "package_installation.yml"):
            change = task.get("image_change")
            named = change.get("packages") if isinstance(change, dict) else None
            if isinstance(named, list):
                wanted.update(dict.fromkeys(word for word in named if isinstance(word, str) and "{{" not in word))
            elif isinstance(named, str):
                for key in re.findall(r"image_build\.(\w+_packages)\b", named):
                    wanted.update(dict.fromkeys(facts.get(key, ())))
                wanted.update(dict.fromkeys(re.findall(r"'([a-z0-9][a-z0-9.+-]+)'", named)))
    wanted.update(dict.fromkeys(data["packages"]["install"]))
    return list(wanted)
