# SPDX-License-Identifier: GPL-3.0-or-later
"""A small signed repository in a folder, for tests: packages made here, suites as wanted."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DATE = "Sun, 01 Nov 2026 00:00:00 UTC"


def make_deb(
    folder: Path, name: str, version: str, *, fields: Mapping[str, str] | None = None, postinst: str = ""
) -> Path:
    """A package that has one file of documentation. Returns its path."""
    tree = folder / f"{name}_{version}.d"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / f"usr/share/doc/{name}").mkdir(parents=True)
    (tree / f"usr/share/doc/{name}/version").write_text(version)
    control = {"Package": name, "Version": version, "Architecture": "all", "Maintainer": "Nobody <nobody@example.org>"}
    control |= {"Installed-Size": "4", "Description": "for a test", **(fields or {})}
    (tree / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
    if postinst:
        (tree / "DEBIAN/postinst").write_text(postinst)
        (tree / "DEBIAN/postinst").chmod(0o755)
    deb = folder / f"{name}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, deb], check=True, capture_output=True)
    shutil.rmtree(tree)
    return deb


@dataclass
class Repository:
    """A repository in a folder, signed by a key of its own (`key`, armoured)."""

    folder: Path
    home: Path | None = None  # of gpg; its own by default

    @property
    def key(self) -> Path:
        return self.folder / "test-archive.asc"

    @property
    def uri(self) -> str:
        return f"file://{self.folder}"

    def _gpg(self, *words: str) -> None:
        # gpg's sockets lie in its home, and the path of a socket is short: 107 bytes.
        self.home = home = self.home or Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))
        home.mkdir(mode=0o700, exist_ok=True, parents=True)
        subprocess.run(["gpg", "--homedir", home, "--batch", "--yes", *words], check=True, capture_output=True)

    def make_key(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._gpg("--passphrase", "", "--quick-generate-key", "Test <test@example.org>", "ed25519", "sign", "never")
        self._gpg("--armor", "--output", str(self.key), "--export")

    def stop(self) -> None:
        """End the key agent that signing started."""
        if self.home:
            subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False)
            shutil.rmtree(self.home, ignore_errors=True)

    def publish(self, suite: str, debs: Sequence[Path], *, release: Mapping[str, str] | None = None) -> Path:
        """Write and sign a suite that has these packages. Returns the folder of its index."""
        pool = self.folder / "pool"
        pool.mkdir(exist_ok=True)
        stanzas = []
        for deb in debs:
            shutil.copyfile(deb, pool / deb.name)
            control = subprocess.run(["dpkg-deb", "--field", deb], check=True, capture_output=True, text=True).stdout
            content = deb.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            stanzas.append(f"{control}Filename: pool/{deb.name}\nSize: {len(content)}\nSHA256: {digest}\n")
        dist = self.folder / "dists" / suite
        index = dist / "main/binary-amd64"
        index.mkdir(parents=True, exist_ok=True)
        packages = "\n".join(stanzas).encode()
        (index / "Packages").write_bytes(packages)
        fields = {
            "Origin": "Test", "Label": "Test", "Suite": suite, "Codename": suite, "Date": DATE,
            "Architectures": "amd64", "Components": "main", **(release or {}),
            "SHA256": f"\n {hashlib.sha256(packages).hexdigest()} {len(packages)} main/binary-amd64/Packages",
        }  # fmt: skip
        (dist / "Release").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
        self._gpg("--clearsign", "--output", str(dist / "InRelease"), str(dist / "Release"))
        (dist / "Release").unlink()
        return index
