# SPDX-License-Identifier: GPL-3.0-or-later
"""What a manifest asked for, and what is therefore no finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .host import place


@dataclass(frozen=True)
class Asked:
    """Answers about one canonical manifest; with none, nothing was asked for."""

    manifest: Mapping[str, Any]

    def section(self, name: str) -> Mapping[str, Any]:
        """A section of the manifest, empty where it has none."""
        found = self.manifest.get(name)
        return found if isinstance(found, Mapping) else {}

    def plugin(self, name: str) -> Mapping[str, Any] | None:
        """The settings of a plugin, or None where the manifest has not got it."""
        plugins = self.section("plugins")
        if name not in plugins:
            return None
        found = plugins[name]
        return found if isinstance(found, Mapping) else {}

    def passwords(self) -> set[str]:
        """The accounts for which a password was asked."""
        users = set()
        admin = self.plugin("admin_user")
        if admin and any(key.startswith("password") and value for key, value in admin.items()):
            users.add(str(admin.get("username", "admin")))
        if self.plugin("root_password") is not None:
            users.add("root")
        if self.plugin("vagrant") is not None:
            users |= {"root", "vagrant"}
        return users

    def keys(self) -> dict[str, str]:
        """The accounts for which an SSH key was asked, and the key or the path it came from."""
        users = {}
        admin = self.plugin("admin_user")
        if admin and admin.get("pubkey"):
            users[str(admin.get("username", "admin"))] = str(admin["pubkey"])
        if self.plugin("vagrant") is not None:
            users["vagrant"] = ""
        return users

    def copied(self, path: str) -> bool:
        """Whether the manifest itself puts this file into the image, by file_copy."""
        files = (self.plugin("file_copy") or {}).get("files") or []
        return any(str(file.get("dst", "")).rstrip("/") in (path, path.rpartition("/")[0]) for file in files)

    def mirrors(self) -> set[str]:
        """The mirrors that the manifest names, and every place in the apt lines it brings."""
        packages, bootstrapper = self.section("packages"), self.section("bootstrapper")
        uris = [packages.get("mirror"), packages.get("security"), bootstrapper.get("mirror")]
        for lines in (packages.get("sources") or {}).values():
            uris += [word for line in lines for word in str(line).split() if ":/" in word]
        return {place(str(uri)) for uri in uris if uri} | ({self.proxy()} - {""})

    def proxy(self) -> str:
        """The proxy for apt that stays in the image, host and port; empty where none was asked for."""
        settings = self.plugin("apt_proxy") or {}
        return f"{settings.get('address')}:{settings.get('port')}" if settings.get("persistent") else ""

    def apt_text(self) -> str:
        """The text of apt's settings that the manifest brings, with the proxy that stays."""
        text = "\n".join(map(str, (self.section("packages").get("apt.conf.d") or {}).values()))
        return f"{text}\n{self.proxy()}"

    def hostname(self) -> str:
        """The host name of the image, or nothing."""
        return str(self.section("system").get("hostname") or "")
