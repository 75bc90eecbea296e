# SPDX-License-Identifier: GPL-3.0-or-later
"""A small signed repository in a folder, for tests: packages made here, suites as wanted."""

from __future__ import annotations

import hashlib
import re
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


def make_source(folder: Path, name: str, version: str, *, fields: Mapping[str, str] | None = None) -> Path:
    """A source package with nothing in it to build. Returns the path of its .dsc.

    :param fields: of the source's own stanza, as Section, or Architecture, which is of its one binary package.
    """
    fields = dict(fields or {})
    architecture = fields.pop("Architecture", "any")
    tree = folder / f"{name}-{version}"
    (tree / "debian/source").mkdir(parents=True)
    (tree / "debian/source/format").write_text("3.0 (native)\n")
    source = {"Source": name, "Maintainer": "Nobody <nobody@example.org>", "Standards-Version": "4.6.2", **fields}
    text = "".join(f"{key}: {value}\n" for key, value in source.items())
    for number, word in enumerate(architecture.split(",")):
        package = name + (f"-{number}" if number else "")
        text += f"\nPackage: {package}\nArchitecture: {word.strip()}\nDescription: for a test\n"
    (tree / "debian/control").write_text(text)
    (tree / "debian/changelog").write_text(
        f"{name} ({version}) unstable; urgency=low\n\n  * Test.\n\n -- Nobody <nobody@example.org>  {DATE[:-3]}+0000\n"
    )
    subprocess.run(["dpkg-source", "--build", tree], check=True, capture_output=True, cwd=folder)
    shutil.rmtree(tree)
    return folder / f"{name}_{version.partition(':')[2] or version}.dsc"


def _source_stanza(dsc: Path, pool: Path) -> str:
    """A source package as Sources has it; its files are copied into the pool."""
    text = dsc.read_text()
    found = re.findall(r"^ [0-9a-f]{64} [0-9]+ (\S+)$", text, re.MULTILINE)
    for name in (dsc.name, *found):
        shutil.copyfile(dsc.parent / name, pool / name)
    stanza = re.sub(r"^Source:", "Package:", text, flags=re.MULTILINE)
    content = dsc.read_bytes()
    for field, algorithm in (("Files", "md5"), ("Checksums-Sha1", "sha1"), ("Checksums-Sha256", "sha256")):
        digest = hashlib.new(algorithm, content).hexdigest()
        stanza = stanza.replace(f"{field}:\n", f"{field}:\n {digest} {len(content)} {dsc.name}\n")
    return f"{stanza.strip()}\nDirectory: pool\n"


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

    def publish(
        self,
        suite: str,
        debs: Sequence[Path],
        *,
        sources: Sequence[Path] = (),
        release: Mapping[str, str] | None = None,
    ) -> Path:
        """Write and sign a suite that has these packages, and sources (.dsc). Returns the folder of its index."""
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
        files = {"main/binary-amd64/Packages": packages}
        if sources:
            files["main/source/Sources"] = "\n".join(_source_stanza(dsc, pool) for dsc in sources).encode()
            (dist / "main/source").mkdir(exist_ok=True)
            (dist / "main/source/Sources").write_bytes(files["main/source/Sources"])
        fields = {
            "Origin": "Test", "Label": "Test", "Suite": suite, "Codename": suite, "Date": DATE,
            "Architectures": "amd64", "Components": "main", **(release or {}),
            "SHA256": "".join(
                f"\n {hashlib.sha256(content).hexdigest()} {len(content)} {name}" for name, content in files.items()
            ),
        }  # fmt: skip
        (dist / "Release").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
        self._gpg("--clearsign", "--output", str(dist / "InRelease"), str(dist / "Release"))
        (dist / "Release").unlink()
        return index
