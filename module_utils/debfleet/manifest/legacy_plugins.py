# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins of older manifests: switched by `enabled`, under other names, or since then a key of a section."""

from __future__ import annotations

from typing import Any

from .translation import Translation

ROOT = "{root}"
COMMANDS = ("image_commands", "commands")


def translate(door: Translation) -> None:
    """Bring the plugins to today's form."""
    if not isinstance(door.get("plugins"), dict):
        return
    for name in list(door.data["plugins"]):
        if "-" in name:
            door.move(("plugins", name), ("plugins", name.replace("-", "_")))
    for name in list(door.data["plugins"]):
        _enabled(door, name)
    for name, change in PLUGINS.items():
        if isinstance(door.get("plugins", name), dict):
            change(door)
    for name in COMMANDS:
        _commands(door, name)
    for keys in (("mkdirs",), ("files",)):
        items = door.get("plugins", "file_copy", *keys)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and isinstance(mode := item.get("permissions"), int) and mode is not True:
                item["permissions"] = str(mode)


def _enabled(door: Translation, name: str) -> None:
    settings = door.get("plugins", name)
    if settings is None:
        door.data["plugins"][name] = {}
        return
    if not isinstance(settings, dict) or not isinstance(settings.get("enabled"), bool):
        return
    if settings["enabled"]:
        door.drop(("plugins", name, "enabled"), "a plugin that is listed is used")
    else:
        door.drop(("plugins", name), "is not enabled and was left out", "a plugin that is listed is used")


def _packages(door: Translation) -> None:
    door.move(("plugins", "packages", "sources"), ("packages", "sources"))
    for key in ("remote", "local"):
        items = door.get("plugins", "packages", key)
        if isinstance(items, list):
            texts = [
                f"{item['name']}/{item['target']}" if isinstance(item, dict) and {"name", "target"} <= item.keys()
                else item.get("name", item) if isinstance(item, dict) else item
                for item in items
            ]  # fmt: skip
            door.extend(("plugins", "packages", key), ("packages", "install"), texts)
    _finish(door, "packages")


def _user_packages(door: Translation) -> None:
    for key in ("repo", "local"):
        items = door.get("plugins", "user_packages", key)
        if isinstance(items, list):
            door.extend(("plugins", "user_packages", key), ("packages", "install"), list(items))
    _finish(door, "user_packages")


def _backports(door: Translation) -> None:
    items = door.get("plugins", "backports", "packages")
    release = door.get("system", "release") or "{system.release}"
    if isinstance(items, list):
        wanted = [f"{item}/{release}-backports" if isinstance(item, str) else item for item in items]
        door.extend(("plugins", "backports", "packages"), ("packages", "install"), wanted)
        line = f"deb {{apt_mirror}} {release}-backports main"
        if isinstance(door.get("packages", "sources") or {}, dict) and not door.has("packages", "sources", "backports"):
            door.put(("packages", "sources", "backports"), [line])
    _finish(door, "backports")


def _finish(door: Translation, name: str) -> None:
    if door.get("plugins", name) == {}:
        door.take("plugins", name)


def _convert_image(door: Translation) -> None:
    wanted = door.get("plugins", "convert_image", "format")
    if isinstance(wanted, str) and isinstance(door.get("volume"), dict):
        door.note(("plugins", "convert_image"), "is written volume.backing today")
        door.put(("volume", "backing"), wanted)
        door.positions.move(("plugins", "convert_image", "format"), ("volume", "backing"))
        door.take("plugins", "convert_image")


def _sed(door: Translation) -> None:
    found = door.data["plugins"]["sed"]
    texts = [found.get(key) for key in ("find", "replace", "file")]
    find, replace, file = texts
    if not (isinstance(find, str) and isinstance(replace, str) and isinstance(file, str)):
        return
    mark = next((char for char in "/|#,;@%!" if char not in find + replace), "/")
    lines = replace.replace("\n", "\\n")
    command = ["sed", "-i", "-e", f"s{mark}{find}{mark}{lines}{mark}", "/" + file.lstrip("/")]
    there = door.get("plugins", "image_commands", "commands")
    door.note(("plugins", "sed"), "is written plugins.image_commands today")
    door.positions.move(("plugins", "sed"), ("plugins", "image_commands"))
    door.take("plugins", "sed")
    door.put(("plugins", "image_commands", "commands"), [*(there if isinstance(there, list) else []), command])


def _minimize_size(door: Translation) -> None:
    for key in ("exclude_docs", "locales"):
        door.move(("plugins", "minimize_size", "apt", key), ("plugins", "minimize_size", "dpkg", key))


def _vagrant(door: Translation) -> None:
    door.move(("plugins", "vagrant", "hostname"), ("system", "hostname"))


def _puppet(door: Translation) -> None:
    """Versions without quotes are numbers."""
    entries = door.get("plugins", "puppet", "install_modules")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, list):
            entry[:] = [str(word) if isinstance(word, (int, float)) else word for word in entry]


def _pip3_install(door: Translation) -> None:
    """Python 2 had a plugin of its own; both are one today."""
    packages = door.get("plugins", "pip3_install", "packages")
    if door.get("plugins", "pip_install") is None:
        door.move(("plugins", "pip3_install"), ("plugins", "pip_install"))
    elif isinstance(packages, list):
        door.extend(("plugins", "pip3_install", "packages"), ("plugins", "pip_install", "packages"), packages)
        _finish(door, "pip3_install")


def _commands(door: Translation, name: str) -> None:
    """Commands ran on the builder with {root} for the tree; a single text was a line for the shell."""
    commands = door.get("plugins", name, "commands")
    if not isinstance(commands, list):
        return
    for index, argv in enumerate(commands):
        if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
            continue
        new: list[Any] = list(argv)
        if len(new) == 1 and any(char in new[0] for char in " \t|&;<>$`"):
            new = ["sh", "-c", new[0]]
        if new[:2] == ["chroot", ROOT]:
            new = new[2:]
        new = [(word.replace(ROOT, "") or "/") if ROOT in word else word for word in new]
        if new != argv and new:
            commands[index] = new
            door.note(("plugins", name, "commands", index), "runs inside the image, as its list of arguments")


PLUGINS = {
    "packages": _packages,
    "user_packages": _user_packages,
    "backports": _backports,
    "convert_image": _convert_image,
    "sed": _sed,
    "minimize_size": _minimize_size,
    "vagrant": _vagrant,
    "puppet": _puppet,
    "pip3_install": _pip3_install,
}
