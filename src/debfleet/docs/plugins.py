# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/plugins.md, from the plugins' roles: ``python -m debfleet.docs.plugins`` writes it, ``--check`` compares it.

A plugin's chapter has what its schema says, what its tasks do in which phase, an example from
manifests/ (kvm-amd64-plugins.yml first), and its role's README.md where it has one.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from debfleet import house
from debfleet.common.changes.table import KINDS
from debfleet.common.manifest import roles as manifest_roles
from debfleet.common.manifest import schema as schemas
from debfleet.common.manifest.plan import task_names
from debfleet.docs import generated
from debfleet.docs.manifest import cell, table

PAGE = Path("docs/plugins.md")
EXAMPLE = Path("manifests/kvm-amd64-plugins.yml")
PREFIX = "plugin_"
COMMENT = "<!--"

# Every plugin of bootstrap-vz, by its name there.
OLDER = (
    "admin_user", "ansible", "apt_proxy", "build_metadata", "chef", "cloud_init", "commands", "debconf",
    "docker_daemon", "ec2_launch", "ec2_publish", "expand_root", "file_copy", "google_cloud_repo", "google_cloud_sdk",
    "image_commands", "minimize_size", "ntp", "opennebula", "pip3_install", "pip_install", "prebootstrapped", "puppet",
    "root_password", "salt", "tmpfs_workspace", "unattended_upgrades", "vagrant",
)  # fmt: skip
RENAMED = {"pip3_install": "pip_install"}
LATER = {
    "ec2_launch": "comes with publishing on EC2",
    "ec2_publish": "comes with publishing on EC2",
    "opennebula": "comes with the provider of that name",
    "vagrant": "comes with the provider virtualbox and Vagrant's boxes",
}
HEAD = """\
<!-- SPDX-License-Identifier: GPL-3.0-or-later
     Made from the plugins' roles by `python -m debfleet.docs.plugins`; a test says whether it is current. -->
# Plugins

A plugin is used where a manifest names it under `plugins`. Each is a role, `roles/plugin_NAME`, which joins phases of
the build and mostly asks for changes, which cost next to nothing: see "A plugin of your own" in
[building.md](building.md). `manifests/kvm-amd64-plugins.yml` has all that go together; a test builds and boots it, and
looks at each inside.

"""
KINDS_HEAD = """\
## What a plugin may ask for

The arguments of `image_change`, of which a task may give several. What is asked for is checked when the task runs, and
made at the phase's end, in order.

| argument | value | what is done |
|---|---|---|
"""
OLDER_HEAD = """\
## The older tool's plugins

What became of each plugin of bootstrap-vz. A manifest that names one which is not built yet, or left out, is still
checked and planned; building it is refused.

| plugin | here |
|---|---|
"""


def page() -> str:
    """The whole page."""
    built = built_plugins()
    base = schemas.read(house.schemas() / schemas.BASE)
    rows = [f"| [{name}](#{name}) | {_says(role)} | {', '.join(_phases(role))} |\n" for name, role in built.items()]
    parts = [HEAD + "| plugin | what it is for | phases |\n|---|---|---|\n" + "".join(rows)]
    parts += [chapter(name, role, base) for name, role in built.items()]
    parts.append(KINDS_HEAD + "".join(kinds()))
    parts.append(OLDER_HEAD + "".join(f"| {name} | {cell(fate(name, built))} |\n" for name in OLDER))
    return "\n".join(part.rstrip() + "\n" for part in parts)


def built_plugins() -> dict[str, Path]:
    """The folders of the plugins that have a role, by name."""
    there = manifest_roles.available([house.roles()])
    return {name.removeprefix(PREFIX): role for name, role in there.items() if name.startswith(PREFIX)}


def _meta(role: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((role / "meta/main.yml").read_text(encoding="utf-8"))
    return read


def _says(role: Path) -> str:
    return cell(str(_meta(role)["galaxy_info"]["description"]))


def _phases(role: Path) -> list[str]:
    return manifest_roles.joins(role)


def chapter(name: str, role: Path, base: schemas.Schema) -> str:
    """What is to be said of one plugin."""
    own = schemas.read(role / "meta/schema.json")
    part = schemas.with_secrets(schemas.inlined(own, own, base))
    blocks = [f"## {name}", str(part["description"])]
    blocks += [rows] if (rows := table(part).rstrip()) else []
    blocks += [said] if (said := _readme(role)) else []
    example = _examples().get(name)
    if example is not None:
        text = yaml.safe_dump({name: example}, sort_keys=False, allow_unicode=True, width=100)
        blocks.append(f"```yaml\n{text}```")
    does = [
        f"- {phase}: " + ", ".join(_lower(task) for task in task_names(role / "tasks" / f"{phase}.yml"))
        for phase in _phases(role)
    ]
    blocks.append("What it does:\n\n" + "\n".join(does))
    return "\n\n".join(blocks) + "\n"


def _lower(text: str) -> str:
    """A task's name within a sentence."""
    return text[:1].lower() + text[1:]


def _readme(role: Path) -> str:
    path = role / "README.md"
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith((COMMENT, "# "))).strip()


def _examples() -> dict[str, Any]:
    found: dict[str, Any] = {}
    folder = (house.root() / EXAMPLE).parent
    for path in [*sorted(folder.glob("*.yml"), reverse=True), house.root() / EXAMPLE]:
        found |= yaml.safe_load(path.read_text(encoding="utf-8")).get("plugins") or {}
    return found


def kinds() -> Iterator[str]:
    """A row for each kind of change, from the words of its functions."""
    for name, kind in KINDS.items():
        value, done = (" ".join((inspect.getdoc(part) or "").split()) for part in (kind.check, kind.make))
        yield f"| `{name}` | {cell(value)} | {cell(done)} |\n"


def fate(name: str, built: dict[str, Path]) -> str:
    """What became of a plugin of the older tool."""
    today = RENAMED.get(name, name)
    if today in built:
        return f"[{today}](#{today})" + ("" if today == name else ", as it is written today")
    schema = schemas.read(house.schemas() / "plugins" / f"{name}.json")
    if "x-left-out" in schema:
        return f"left out. {schema['x-left-out']}"
    return "not built yet" + (f"; it {LATER[name]}" if name in LATER else "")


def main() -> int:
    """Write the page, or say whether it is current."""
    return generated.main("plugins", PAGE, page, "roles", __doc__)


if __name__ == "__main__":
    sys.exit(main())
