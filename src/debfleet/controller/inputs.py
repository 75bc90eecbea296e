# SPDX-License-Identifier: GPL-3.0-or-later
"""All that shapes an image, by name and in one word each, so that a build can tell that nothing has changed."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from debfleet import house
from debfleet.common.bases import fingerprint
from debfleet.common.manifest.checking import Checked
from debfleet.common.manifest.problems import Keys

COMMON = Path(fingerprint.__file__).resolve().parents[1]
NOT_TREES = (  # rooms that change no tree
    *("bootloader", "compare", "disk", "doctor", "folder", "inspect", "libvirt", "manifest", "shell"),
)
HOUSE = ("library", "playbooks", "roles/image")
WITHOUT = ("name", "schema_version", "plugin_paths", "extends")  # of the manifest: they shape no image
TOOLS = [  # Debian packages of the builder whose version may show in an image
    *("mmdebstrap", "debootstrap", "dpkg", "apt"),
    *("e2fsprogs", "xfsprogs", "btrfs-progs", "dosfstools", "mtools", "util-linux"),
    *("grub-common", "qemu-utils", "extlinux", "syslinux"),
]


@cache
def tree_code() -> str:
    """The digest of the code that makes root trees."""
    rooms = [entry for entry in sorted(COMMON.iterdir()) if entry.name not in (*NOT_TREES, *fingerprint.SKIPPED)]
    return _digest(list(fingerprint.of_paths(rooms).values()))


def of_image(checked: Checked) -> dict[str, str]:
    """What shapes the image of a checked manifest, by name: its sections, the files it names, its roles, the code, the
    tools of this machine. What the archive has is known only later.
    """
    assert checked.manifest
    data = checked.manifest.to_dict()
    for keys, stable in checked.stable.items():  # a hash with a new salt each time says nothing
        _put(data, keys, stable)
    data["bootstrapper"] = {**data["bootstrapper"], "workspace": None}
    parts = {f"manifest's {section}": _digest(value) for section, value in data.items() if section not in WITHOUT}
    parts["manifest's files"] = _digest(list(fingerprint.of_paths(checked.files).values()))
    parts["roles"] = _digest({name: fingerprint.of_path(path) for name, path in checked.roles.items()})
    parts["debfleet"] = _digest(
        [fingerprint.of_path(path) for path in [COMMON, *(house.root() / one for one in HOUSE)]]
    )
    parts["tools"] = _digest(tools())
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    return {**parts, "SOURCE_DATE_EPOCH": _digest(epoch)} if epoch else parts


@cache
def tools() -> list[str]:
    """The builder's packages that work on images, with their versions."""
    form = ["--showformat", "${Package} ${Version} ${db:Status-Status}\n"]
    done = subprocess.run(["dpkg-query", "--show", *form, *TOOLS], text=True, capture_output=True, check=False)
    return sorted(done.stdout.splitlines())


def _digest(value: Any) -> str:
    return fingerprint.of_parts(value)[:40]


def _put(data: Any, keys: Keys, value: str) -> None:
    for one in keys[:-1]:
        data = data[one]
    data.pop(f"{keys[-1]}-crypted", None)
    data[keys[-1]] = value
