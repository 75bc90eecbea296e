# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/manifest.md, made from the schemas: ``python -m debfleet.docs.manifest`` writes it, ``--check`` compares it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from debfleet import house
from debfleet.common.manifest import schema as schemas
from debfleet.docs import generated

PAGE = Path("docs/manifest.md")
SECTIONS = ("provider", "bootstrapper", "system", "packages", "volume", "plugins")
TYPES = {"string": "text", "integer": "number", "boolean": "true or false", "array": "list", "object": "mapping"}
HEAD = """\
<!-- SPDX-License-Identifier: GPL-3.0-or-later
     Made from the schemas by `python -m debfleet.docs.manifest`; a test says whether it is current. -->
# The manifest

One file declares one image. It is YAML, or JSON with `//` comments, in the vocabulary of bootstrap-vz; the four
published generations of that tool's manifests are read too, with a line for each key that is written otherwise today.

    debfleet manifest check FILE…     # every error at once: file, line, value, what is allowed, what may be meant
    debfleet manifest plan FILE       # phases, tasks, the disk, packages; nothing is built

The smallest one is this; all else has a default:

```yaml
{smallest}```

- A path is relative to the folder of the manifest, and what it names must be there.
- Variables in braces are filled in where the tables say so: any scalar of `provider`, `bootstrapper`, `system` and
  `volume` by its dotted name, as `{{system.release}}`, and the parts of the date, as `{{%Y}}`, `{{%m}}`, `{{%d}}`.
- Sizes are digits and a unit: B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of 1024). A partition's
  may also be a share of the volume, as `40%`, or `remaining`.
- A secret, like a password, has four ways in, of which a manifest uses one: the key itself, also with a value that
  `ansible-vault encrypt_string` made (`!vault`); KEY`_file`, a file whose first line it is; KEY`_env`, a variable of
  the environment; and, for passwords, KEY`-crypted`, a string as crypt(5) has it. It is hashed before anything is
  stored, and masked in every message. The whole manifest may be sealed by ansible-vault as well.
- In YAML, plain words mean what they mean in JSON: `no` is a text, and so is `0755`. The only tag is `!vault`.
- `extends` names another manifest that this one is laid over: mappings are merged, all else is replaced.
- Your own providers and plugins are roles in a folder that `plugin_paths` names: see "A plugin of your own" at the end.
  What each plugin does, and what came of the older tool's, is in [plugins.md](plugins.md).
"""
SMALLEST = """\
name: my-image
provider: {name: kvm}
volume:
  size: 2GiB
  partitions: {root: {}}
plugins: {cloud_init: {}}
"""
FOOT = """\
## A plugin of your own

A plugin is a role `plugin_NAME` with

- `tasks/PHASE.yml` for each phase that it joins,
- `meta/phases.yml`, where its place in a phase matters: `{PHASE: {after: [ROLE…], before: [ROLE…]}}`,
- `meta/schema.json`, the JSON Schema (2020-12) of its settings; without one it has none.

A provider is a role `provider_NAME` whose schema describes the keys of `provider` besides the name. A schema may refer
to definitions of the manifest's own, as `manifest.json#/$defs/image_path`, and narrow other sections by a fragment in
`$defs.manifest`. Keys that it doesn't name are refused, unless it has `additionalProperties`. Words of ours in a
schema: `x-secret` (`hash` or `plain`), `x-file` (`file`, `folder`, `any`, `scratch`), `x-interpolate`, `x-lines` (may
span lines), `x-ordered`, `x-hidden` (never shown in a message), and `x-allowed`, a pattern in words for messages.
"""


def page() -> str:
    """The whole page."""
    base = schemas.read(house.schemas() / schemas.BASE)
    whole = schemas.with_secrets(schemas.inlined(base, base, base))
    parts = [HEAD.format(smallest=SMALLEST)]
    top = {key: part for key, part in whole["properties"].items() if key not in SECTIONS}
    parts.append("## The top\n\n" + table({"properties": top, "required": whole["required"]}))
    for name in SECTIONS:
        part = whole["properties"][name]
        parts.append(f"## {name}\n\n{part['description']}\n\n" + (table(part) if name != "plugins" else ""))
        if name in ("provider", "plugins"):
            parts += list(roles(base, name))
    parts.append(FOOT)
    return "\n".join(text.rstrip() + "\n" for text in parts)


def roles(base: schemas.Schema, section: str) -> Iterator[str]:
    """A chapter for each provider or plugin, those without a role last."""
    kind = {"provider": "provider", "plugins": "plugin"}[section]
    built = {path.parent.parent.name.removeprefix(f"{kind}_"): path for path in
             house.roles().glob(f"{kind}_*/meta/schema.json")}  # fmt: skip
    declared = {path.stem: path for path in (house.schemas() / f"{kind}s").glob("*.json")}
    for name in [*sorted(built), *sorted(declared.keys() - built.keys())]:
        own = schemas.read(built.get(name) or declared[name])
        part = schemas.with_secrets(schemas.inlined(own, own, base))
        later = "" if name in built else " Not built yet: such manifests are checked and planned."
        if reason := own.get("x-left-out"):
            later = f" Left out: such manifests are checked, not built. {reason}"
        says = f"### {section}{'.' if section == 'plugins' else ': '}{name}\n\n{part.get('description', '')}{later}\n\n"
        rows = list(limits(own.get("$defs", {}).get("manifest", {})))
        yield says + table(part) + ("\n" + "\n".join(rows) + "\n" if rows else "")


def limits(fragment: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """What a role allows elsewhere."""
    for name, part in fragment.get("properties", {}).items():
        path = f"{above}.{name}".strip(".")
        if "enum" in part:
            default = f" (by default {part['default']})" if "default" in part else ""
            yield f"- {path}: {', '.join(map(str, part['enum']))}{default}"
        yield from limits(part, path)


def table(schema: Mapping[str, Any]) -> str:
    """The keys of an object as a table, nested ones by their dotted paths."""
    rows = list(keys_of(schema, ""))
    if not rows:
        return ""
    return "| key | value | default | |\n|---|---|---|---|\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def keys_of(schema: Mapping[str, Any], above: str) -> Iterator[tuple[str, str, str, str]]:
    """A row for each key: its path, what it may be, its default, what it is."""
    required = schema.get("required", [])
    named = dict(schema.get("properties", {}))
    for part in schema.get("patternProperties", {}).values():
        named["MOUNT_POINT"] = part
    if isinstance(free := schema.get("additionalProperties"), dict):
        named["NAME"] = free
    for name, part in named.items():
        if not isinstance(part, dict) or part.get("x-variant") or part.get("x-crypted"):
            continue
        path = f"{above}.{name}".strip(".")
        needed = name in required or part.get("x-required")
        default = "**required**" if needed else shown(part["default"]) if "default" in part else ""
        says = part.get("description", "") + (" A secret." if "x-secret" in part else "")
        yield f"`{path}`", may_be(part), default, cell(says)
        inner = part["items"] if isinstance(part.get("items"), dict) else part
        yield from keys_of(inner, path + ("[]" if inner is not part else ""))


def may_be(part: Mapping[str, Any]) -> str:
    """What a value may be, in a few words."""
    if "const" in part:
        return shown(part["const"])
    if "enum" in part:
        return ", ".join(shown(word) for word in part["enum"] if word is not None)
    types = part.get("type", "string")
    listed = [types] if isinstance(types, str) else types
    text = " or ".join(TYPES.get(kind, kind) for kind in listed if kind != "null")
    if "x-file" in part:
        text = text.replace("text", {"folder": "folder", "scratch": "path"}.get(part["x-file"], "file"))
    if isinstance(part.get("items"), dict) and "x-allowed" in part["items"]:
        return cell(f"{text}: {part['items']['x-allowed']}")
    return cell(part["x-allowed"] if "x-allowed" in part and "x-file" not in part else text)


def shown(value: Any) -> str:
    """A value as YAML has it."""
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return cell(f"`{', '.join(map(str, value)) if isinstance(value, list) else value}`")


def cell(text: str) -> str:
    """Text that does not end a table's cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> int:
    """Write the page, or say whether it is current."""
    return generated.main("manifest", PAGE, page, "schemas", __doc__)


if __name__ == "__main__":
    sys.exit(main())
