# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole images of other architectures, built natively and emulated, are the same: kernel, initramfs and all.

`make test-foreign-full` runs it, and nothing else does: its name is none that pytest collects. It takes hours, most of
them emulated; `PYTEST_ARGS='-k armhf'` chooses.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import plays
import pytest
import yaml
from foreign_trees import EXPECTED, differences, mentions

pytestmark = [pytest.mark.slow, pytest.mark.root]
LARGE = [
    *("python3-gi", "gir1.2-gtk-3.0", "postgresql", "network-manager", "emacs-nox", "fontconfig", "man-db"),
    *("shared-mime-info", "desktop-file-utils", "librsvg2-common", "dbus-user-session", "libxml-sax-perl"),
]
DKMS = ["dkms", "v4l2loopback-dkms"]
SETS: dict[str, dict[str, Any]] = {
    "bookworm-armhf": {"release": "bookworm", "architecture": "armhf"},
    "bookworm-arm64": {"release": "bookworm", "architecture": "arm64"},
    "trixie-arm64": {"release": "trixie", "architecture": "arm64"},
    "trixie-riscv64": {"release": "trixie", "architecture": "riscv64"},
    "sid-arm64": {"release": "sid", "architecture": "arm64"},
    "bookworm-armhf-large": {"release": "bookworm", "architecture": "armhf", "packages": LARGE},
    "trixie-arm64-large": {"release": "trixie", "architecture": "arm64", "packages": LARGE},
    "bookworm-arm64-dkms": {"release": "bookworm", "architecture": "arm64", "packages": DKMS},
}
# Made of random bytes, or of the moment, by the programs of a large set.
MORE = (
    r"etc/ssl/(private|certs)/ssl-cert-snakeoil\..*",
    r"var/lib/postgresql/.*|etc/postgresql/.*",
    r"var/lib/dkms/.*/log/make\.log",
    r"var/cache/(man|fontconfig)/.*",
    r"etc/NetworkManager/.*|var/lib/NetworkManager/.*",
)


@pytest.fixture
def newc(repo: Path) -> Iterator[ModuleType]:
    """What reads an initramfs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(repo / "benchmarks")
        import newc

        yield newc
        del sys.modules["newc"]


def build(folder: Path, name: str, way: str) -> Path:
    """Build the image, one filesystem in a file; give the image's folder."""
    asked = dict(SETS[name])
    packages = asked.pop("packages", [])
    manifest = {
        "name": f"{name}-{way}",
        "provider": {"name": "kvm"},
        "system": {**asked, "bootloader": "none", "locale": "de_DE", "charmap": "UTF-8"},
        "packages": {"install": packages},
        "volume": {"backing": "raw", "size": "8GiB", "partitions": {"type": "none", "root": {"size": "remaining"}}},
        "plugins": {"cloud_init": {"username": "debian"}},
    }
    path = folder / f"{name}-{way}.yml"
    path.write_text(yaml.safe_dump(manifest))
    done = plays.run("build-image", folder, manifest=path, foreign=way, cache="off")
    assert done.returncode == 0, done.stdout
    built = folder / "build" / f"{name}-{way}"
    log = (built / "build.log").read_text(encoding="utf-8", errors="replace")
    assert ("programs are native" in log) == (way == "private")
    return built


@contextlib.contextmanager
def mounted(built: Path) -> Iterator[Path]:
    """The image's tree."""
    place = built / "mnt"
    place.mkdir()
    subprocess.run(["mount", "-o", "loop,ro", built / "disk.raw", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("name", SETS)
def test_native_and_emulated_are_equal(name: str, tmp_path: Path, newc: ModuleType) -> None:
    built = [build(tmp_path, name, way) for way in ("private", "emulated")]
    versions = [json.loads((one / "packages.json").read_text())["packages"] for one in built]
    assert versions[0] == versions[1]
    with mounted(built[0]) as native, mounted(built[1]) as emulated:
        status = [(root / "var/lib/dpkg/status").read_bytes() for root in (native, emulated)]
        assert status[0] == status[1]
        assert differences(native, emulated, (*EXPECTED, *MORE)) == []
        made = [newc.members(next(root.glob("boot/initrd.img-*"))) for root in (native, emulated)]
        assert made[0] == made[1]
        assert mentions(native, b"/.native") == []
