# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build leaves: packages, metadata, bill of materials, sums, and no secret in any of it."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
from pathlib import Path

import folder_build
import jsonschema
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from debfleet.common import masking
from debfleet.common.architectures import TABLE
from debfleet.common.folder import contents, metadata, packages, sbom
from debfleet.common.journal import MASK

TIME = "2026-11-24T12:00:00Z"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    contents.write(folder, folder_build.source(tmp_path))
    return folder


def test_the_folder_holds_what_was_promised(written: Path) -> None:
    assert {path.name for path in written.iterdir()} == {
        "disk.raw",
        "vmlinuz",
        "initrd.img",
        "build.log",
        "manifest.json",
        "packages.json",
        "metadata.json",
        "sbom.cdx.json",
        "SHA256SUMS",
    }
    assert (written / "vmlinuz").read_text() == "kernel 6.12.43+deb13-amd64"
    assert (written / "initrd.img").read_text() == "initramfs 6.12.43+deb13-amd64"


def test_sha256sum_agrees_and_names_all_that_does_not_grow(written: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=written, check=True)
    named = {line.split()[1] for line in (written / "SHA256SUMS").read_text().splitlines()}
    assert named == {path.name for path in written.iterdir()} - {"SHA256SUMS", "build.log"}


@pytest.mark.parametrize("name", ["metadata", "packages"])
def test_each_json_follows_its_schema(written: Path, repo: Path, name: str) -> None:
    schema = json.loads((repo / f"schemas/{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads((written / f"{name}.json").read_text(encoding="utf-8")), schema)


def test_the_metadata_is_that_of_the_image(written: Path) -> None:
    told = json.loads((written / "metadata.json").read_text(encoding="utf-8"))
    image = written / told["file"]
    assert told["sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert told["sizes"]["virtual"] == told["sizes"]["file"] == 4 << 20
    assert told["sizes"]["allocated"] == image.stat().st_blocks * 512 < 4 << 20
    assert told["kernel"] == "6.12.43+deb13-amd64"
    assert told["seconds"] == {"preparation": 0.5}
    assert told["packages"] == 2


def test_no_secret_is_in_any_file(written: Path) -> None:
    for path in written.iterdir():
        text = path.read_bytes()
        assert not any(secret in text for secret in (b"verysecret", b"pass4711", b"hidden4711")), path.name
    asked = json.loads((written / "manifest.json").read_text(encoding="utf-8"))
    assert asked["plugins"]["root_password"] == {"password-crypted": MASK}
    assert asked["packages"]["mirror"] == f"https://{MASK}@mirror.example.org/debian"
    assert "string open" in asked["plugins"]["debconf"]


def test_modes(written: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in written.iterdir()}
    assert modes.pop("build.log") == 0o600  # the manifest has secrets
    assert [modes.pop(name) for name in list(modes) if name.startswith("disk.")] == [
        0o600
    ]  # and the image their hashes
    assert set(modes.values()) == {0o644}


def test_an_image_with_a_bootloader_has_no_kernel_beside_it(tmp_path: Path) -> None:
    source = folder_build.source(tmp_path)
    folder = tmp_path / "small"
    folder.mkdir()
    source.manifest["system"]["bootloader"] = "grub"
    contents.write(folder, source)
    assert not (folder / "vmlinuz").exists()


def test_a_kernel_that_is_not_compressed_lies_beside_the_image_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    for name in ("vmlinux-6.12.43-riscv64", "initrd.img-6.12.43-riscv64"):
        (tmp_path / "boot" / name).write_text(name)
    contents.copy_kernel(tmp_path, "vmlinux-6.12.43-riscv64", tmp_path, TABLE["riscv64"])
    assert (tmp_path / "vmlinuz").read_text() == "vmlinux-6.12.43-riscv64"
    assert (tmp_path / "initrd.img").read_text() == "initrd.img-6.12.43-riscv64"


def test_the_device_trees_of_the_machines_lie_beside_their_kernel(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.1-rpi").touch()
    names = [one.device_tree for one in TABLE["armel"].machine_types if one.device_tree]
    for name in [names[-1], "another.dtb"]:
        for version in ("6.1-rpi", "6.0-rpi"):
            path = tmp_path / f"usr/lib/linux-image-{version}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} of {version}")
    contents.copy_kernel(tmp_path, "vmlinuz-6.1-rpi", tmp_path, TABLE["armel"])
    assert {path.name: path.read_text() for path in tmp_path.glob("*.dtb")} == {names[-1]: f"{names[-1]} of 6.1-rpi"}


def test_the_bill_of_materials_is_valid(written: Path) -> None:
    text = (written / "sbom.cdx.json").read_text(encoding="utf-8")
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"operating-system"', '"pudding"')) is not None
    bill = json.loads(text)
    libc = next(part for part in bill["components"] if part["name"] == "libc6")
    assert libc["purl"] == "pkg:deb/debian/libc6@2.41-12%2Bb1?arch=amd64&distro=debian-trixie"
    named = [part["license"].get("id") or part["license"]["name"] for part in libc["licenses"]]
    assert named == ["LGPL-2.1-or-later", "MIT", "Own-1"]
    assert bill["metadata"]["component"]["hashes"][0]["content"] == metadata.sha256(written / "disk.raw")


def test_the_bill_of_materials_is_the_same_for_the_same_image(tmp_path: Path) -> None:
    found = packages.installed(folder_build.tree(tmp_path))
    about = {"name": "x", "release": "trixie", "architecture": "amd64", "file": "disk.raw", "digest": lambda: "ab" * 32}
    bills = {sbom.make(found, **about, version="1", time_built=TIME) for _ in range(3)}
    assert len(bills) == 1


def test_packages_are_read_from_dpkgs_status(tmp_path: Path) -> None:
    found = {package.name: package for package in packages.installed(folder_build.tree(tmp_path))}
    assert set(found) == {"base-files", "libc6"}  # what was removed isn't there
    libc = found["libc6"]
    assert (libc.source, libc.source_version) == ("glibc", "2.41-12")
    assert libc.installed_size == 12000 * 1024
    assert libc.summary == "GNU C Library"
    assert libc.licences == ("LGPL-2.1-or-later", "MIT", "Own-1")
    assert found["base-files"].source == "base-files"
    assert found["base-files"].licences == ()


@pytest.mark.parametrize(
    ("debian", "spdx"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-3", "GPL-3.0-only"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("LGPL-2", "LGPL-2.0-only"),
        ("GFDL-1.3", "GFDL-1.3-only"),
        ("AGPL-3+", "AGPL-3.0-or-later"),
        ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("public-domain", "public-domain"),
        ("Something-else", "Something-else"),
    ],
)
def test_licences_have_the_names_of_spdx(debian: str, spdx: str) -> None:
    assert packages.spdx(debian) == spdx


@given(st.text())
def test_no_status_is_too_odd(text: str) -> None:
    list(packages.stanzas(text))


@given(st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=50)), max_size=8), st.integers(0, 170_000))
@settings(max_examples=40)
def test_the_sum_of_a_sparse_file(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bytes]], size: int
) -> None:
    path = tmp_path_factory.mktemp("sum") / "file"
    with path.open("wb") as file:
        file.truncate(size)
        for place, data in pieces:
            file.seek(place * 4096)
            file.write(data)
    assert metadata.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_time_of_a_reproducible_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert metadata.built(True) == "1970-01-02T00:00:00Z"
    assert metadata.built(False) > "2020"


WORDS = st.text(alphabet="abcxyz0123456789", min_size=8, max_size=12)
SECRET_KEYS = ("password", "password-crypted", "secret-key", "credentials", "token")


@given(WORDS, st.sampled_from(SECRET_KEYS), st.sampled_from(("name", "username", "list")), st.booleans())
def test_masking_hides_every_secret_and_nothing_else(word: str, key: str, beside: str, deep: bool) -> None:
    secret = f"S-{word}"
    value = {"plugins": {"p": {key: {"x": [secret]} if deep else secret, beside: f"open-{word}"}}}
    text = json.dumps(masking.masked(value))
    assert secret not in text
    assert f"open-{word}" in text
    assert masking.secrets_of(value) == (secret,)


def test_nothing_is_secret_in_a_plain_manifest() -> None:
    value = {"system": {"hostname": "x"}, "packages": {"mirror": "http://mirror.example.org/d"}, "plugins": {}}
    assert masking.secrets_of(value) == ()
    assert masking.masked(value) == value
