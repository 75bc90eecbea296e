# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finished image's folder says of the image: its file, and what it should show once it runs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..architectures import Architecture, MachineType, architecture, host
from ..errors import DebfleetError, FindingsError
from .checks import Expected

FORMATS = {
    ".raw": "raw",
    ".img": "raw",
    ".qcow2": "qcow2",
    ".vmdk": "vmdk",
    ".vdi": "vdi",
    ".vhd": "vpc",
    ".vhdx": "vhdx",
}
GROWS = {"cloud-init", "cloud-guest-utils"}  # packages that together let root fill a larger disk


@dataclass(frozen=True)
class ImageFolder:
    """A folder with an image: its path, and its three JSON files as they are."""

    path: Path
    manifest: dict[str, Any]
    metadata: dict[str, Any]
    packages: Any

    @classmethod
    def read(cls, path: str | Path) -> ImageFolder:
        """Read the folder. Raises DebfleetError when it holds no image of ours."""
        path = Path(path).absolute()
        texts: dict[str, Any] = {"packages.json": {}}
        for name in ("manifest.json", "metadata.json", "packages.json"):
            try:
                texts[name] = json.loads((path / name).read_text(encoding="utf-8"))
            except FileNotFoundError as error:
                if name not in texts:
                    hint = "name a folder that build-image.yml has made: build/NAME"
                    raise DebfleetError("there is no finished image here", where=str(path / name), hint=hint) from error
            except ValueError as error:
                raise DebfleetError("this is no JSON", where=str(path / name), why=str(error)) from error
        return cls(path, texts["manifest.json"], texts["metadata.json"], texts["packages.json"])

    @property
    def name(self) -> str:
        """The image's name."""
        return str(self.manifest.get("name") or self.path.name)

    @property
    def system(self) -> dict[str, Any]:
        """The manifest's section system."""
        return dict(self.manifest.get("system") or {})

    @property
    def architecture(self) -> Architecture:
        """The row of the image's architecture: what its build says of it, which has seen the manifest."""
        return architecture(str(self.metadata.get("architecture") or self.system.get("architecture") or host().name))

    @property
    def machine(self) -> MachineType:
        """The kind of machine that the image's kernel drives."""
        return self.architecture.machine_for(str(self.metadata.get("kernel") or ""))

    def file(self) -> Path:
        """The image's file. Raises DebfleetError when it isn't there or there are several."""
        if named := self.metadata.get("file"):
            found = [self.path / str(named)]
        else:
            found = sorted(path for path in self.path.glob("disk.*") if path.suffix in FORMATS)
        if len(found) != 1 or not found[0].is_file():
            names = ", ".join(path.name for path in found)
            raise DebfleetError("there is no image, or more than one", where=str(self.path), why=names)
        return found[0]

    def format(self) -> str:
        """QEMU's name of the image file's format. Never guessed from its bytes: a guest could have written them."""
        suffix = self.file().suffix
        if suffix not in FORMATS:
            raise DebfleetError(f"images of the form {suffix} can't be booted", where=str(self.file()))
        return FORMATS[suffix]

    def digest(self) -> str:
        """The SHA-256 of the image's bytes. Raises FindingsError when metadata.json says another."""
        with self.file().open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        said = self.metadata.get("sha256")
        if isinstance(said, str) and said != found:
            raise FindingsError("the image is not the one that was built", where=str(self.file()),
                                why=f"metadata.json says sha256 {said}, its bytes have {found}",
                                hint="build it again")  # fmt: skip
        return found

    def has(self, package: str) -> bool:
        """Whether a package is installed in the image."""
        rows = self.packages.get("packages", self.packages) if isinstance(self.packages, dict) else self.packages
        names = {str(row.get("name") or row.get("package")) if isinstance(row, dict) else str(row) for row in rows}
        return package in {name.partition(":")[0] for name in names}

    def partitions(self) -> list[dict[str, Any]]:
        """The layout's partitions, from metadata.json."""
        return list((self.metadata.get("layout") or {}).get("partitions") or [])

    def root_uuid(self) -> str:
        """The UUID of the root filesystem; empty where the layout knows none."""
        return next((str(part.get("uuid") or "") for part in self.partitions() if part.get("mount") == "/"), "")

    def firmware(self) -> list[str]:
        """What firmware the image boots by; `direct` where it has no bootloader: it is given a kernel."""
        if self.bootloader() == "none":
            return ["direct"]
        said = self.system.get("firmware") or "bios"
        return ["bios", "uefi"] if said == "both" else [str(said)]

    def bootloader(self) -> str:
        """The image's bootloader."""
        return str(self.system.get("bootloader") or "grub")

    def access(self) -> str:
        """How one gets in: cloud-init, ssh or console."""
        if not self.has("openssh-server"):
            return "console"
        return "cloud-init" if self.has("cloud-init") else "ssh"

    def grows(self) -> bool:
        """Whether root fills a larger disk at first boot: something is there that does it, and root is the last."""
        parts = self.partitions()
        last = bool(parts) and max(parts, key=lambda part: int(part["start"])).get("mount") == "/"
        return last and ("expand_root" in (self.manifest.get("plugins") or {}) or all(self.has(name) for name in GROWS))

    def expected(self) -> Expected:
        """What the image should show once it runs."""
        system, parts = self.system, self.partitions()
        hostname = system.get("hostname")
        return Expected(
            release=str(self.metadata.get("codename") or system.get("release")),
            architecture=self.architecture.name,
            serial=self.machine.serial,
            hostname=str(hostname).partition(".")[0] if hostname else None,
            timezone=system.get("timezone"),
            locale=system.get("locale"),
            charmap=system.get("charmap"),
            root=next((int(part["size"]) for part in parts if part.get("mount") == "/"), 0),
            grows=self.grows(),
            swap=any(part.get("filesystem") == "swap" for part in parts),
            mounts={part["mount"]: part["filesystem"] for part in parts if part.get("mount")},
            ssh=self.has("openssh-server"),
        )
