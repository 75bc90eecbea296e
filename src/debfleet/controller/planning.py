# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build is made of, decided before anything is touched: names, folders, seed, layout, wanted packages."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from debfleet import __version__
from debfleet.common import bootloader
from debfleet.common.architectures import TABLE
from debfleet.common.disk import filesystems, layout

NAMESPACE = uuid.UUID("a64c9a5e-5a0d-4f0e-9d6a-5f0f6b1f3a51")  # of the UUIDs of reproducible images


@dataclass(frozen=True)
class Folders:
    """Where a build works and what it leaves: build/NAME, build/.NAME.ID, build/NAME.failed.log."""

    build_dir: Path
    name: str
    build_id: str
    workspace: Path | None

    @property
    def folder(self) -> Path:
        """The finished image."""
        return self.build_dir / self.name

    @property
    def work(self) -> Path:
        """What the build needs while it runs."""
        return (self.workspace or self.build_dir) / f".{self.build_id}"

    @property
    def failed_log(self) -> Path:
        """The log of a build that failed."""
        return self.build_dir / f"{self.name}.failed.log"


def describe(manifest: Mapping[str, Any], build_dir: Path, plain: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The facts of one build, as playbooks and roles read them in `image_build`.

    :param plain: secrets that a role needs as they are, by their paths in the manifest.
    """
    kept = dict(plain or {})
    name = manifest["name"]
    system = manifest["system"]
    build_id = f"{name}-{secrets.token_hex(4)}"
    workspace = manifest["bootstrapper"]["workspace"]
    folders = Folders(build_dir, name, build_id, Path(workspace) if workspace else None)
    seed = str(uuid.uuid5(NAMESPACE, name)) if manifest.get("reproducible") else build_id
    disk = layout.plan(manifest["volume"], firmware=system["firmware"], bootloader=system["bootloader"], seed=seed)
    row = TABLE.get(system["architecture"])  # what has none yet can be planned, not built
    return {
        "manifest": manifest,
        "name": name,
        "build_id": build_id,
        "build_dir": str(build_dir),
        "work": str(folders.work),
        "folder": str(folders.folder),
        "failed_log": str(folders.failed_log),
        "owner": os.getppid(),  # a worker's parent is the ansible-playbook that builds
        "seed": seed,
        "layout": disk.to_dict(),
        "fstab": layout.fstab(disk),
        "disk": str(folders.work / "disk.raw"),
        "kernel_packages": list(row.kernel_packages) if row else [],
        "console_arguments": console_arguments(row.machine.serial, manifest["provider"]) if row else "",
        "bootloader_packages": bootloader.packages(system),
        "filesystem_packages": filesystems.packages(disk),
        "secrets": kept,
        "proxy": apt_proxy(manifest["plugins"].get("apt_proxy"), kept.get("plugins.apt_proxy.password", "")),
        "version": __version__,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def apt_proxy(settings: Mapping[str, Any] | None, password: str) -> str:
    """The address of the proxy that a manifest has for apt, with user and password; empty where it has none."""
    if settings is None:
        return ""
    host = f"[{settings['address']}]" if ":" in settings["address"] else settings["address"]
    words = [quote(word, safe="") for word in (settings.get("username"), password) if word]
    return f"http://{':'.join(words)}{'@' if words else ''}{host}:{settings['port']}"


def console_arguments(serial: str, provider: Mapping[str, Any]) -> str:
    """The kernel's arguments for both consoles: the last is the one that it takes for /dev/console."""
    consoles = ["console=tty0", f"console={serial},115200"]
    return " ".join(reversed(consoles) if provider.get("console") == "virtual" else consoles)


def asked_packages(
    roles: Iterable[str],
    allowed: Callable[[Any, dict[str, Any]], bool],
    template: Callable[[Any, dict[str, Any]], Any],
) -> dict[str, list[str]]:
    """The packages that roles will ask for in the phase package_installation, by the task that asks, read from their
    task files.

    :param roles: the folders of the roles that join the phase, in order.
    :param allowed: whether a task's `when` holds, with the role's own defaults and variables.
    :param template: fills in a task's expressions, with the same.
    """
    wanted: dict[str, list[str]] = {}
    for role in map(Path, roles):
        own = {**_read(role / "defaults/main.yml"), **_read(role / "vars/main.yml")}
        for task in yaml.safe_load((role / "tasks/package_installation.yml").read_text(encoding="utf-8")) or []:
            change = task.get("image_change") or {}
            if "packages" in change and allowed(task.get("when", True), own):
                wanted[f"{role.name}: {task.get('name', '')}"] = template(change["packages"], own)
    return {asker: packages for asker, packages in wanted.items() if packages}


def _read(path: Path) -> dict[str, Any]:
    read: Any = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    return read or {}
