# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests against their schemas: every error at once, each with its place, value, what is allowed and a hint."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from manifest_tools import accepted, check, check_data, check_yaml, error_at, good, with_key

from debfleet import house
from debfleet.common.manifest import schema as schemas


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    data = accepted(check_data(tmp_path, good()))
    assert list(data) == [
        "schema_version", "name", "provider", "bootstrapper", "system", "packages", "volume", "plugins", "plugin_paths",
        "reproducible", "extends",
    ]  # fmt: skip
    assert data["bootstrapper"]["tool"] == "mmdebstrap" and data["bootstrapper"]["variant"] == "minbase"
    assert data["system"] == {
        "release": "trixie", "architecture": "amd64", "firmware": "both", "bootloader": "grub", "charmap": "UTF-8",
        "locale": "en_US", "timezone": "UTC", "hostname": None,
    }  # fmt: skip
    assert data["volume"]["partitions"]["root"] == {
        "size": "remaining", "filesystem": "ext4", "mountopts": [], "mode": None, "format_command": None,
    }  # fmt: skip
    assert data["packages"]["components"] == ["main"]


@pytest.mark.parametrize(
    ("kind", "bootloader", "architecture", "firmware"),
    [
        ("gpt", "grub", "amd64", "both"),
        ("gpt", "grub", "arm64", "uefi"),
        ("gpt", "systemd-boot", "amd64", "uefi"),
        ("gpt", "none", "amd64", "bios"),
        ("msdos", "grub", "amd64", "bios"),
        ("none", "none", "arm64", "bios"),
    ],
)
def test_firmware_follows_from_the_rest(
    tmp_path: Path, kind: str, bootloader: str, architecture: str, firmware: str
) -> None:
    volume = {"backing": "raw", "partitions": {"type": kind, "root": {"size": "2GiB"}}}
    system = {"bootloader": bootloader, "architecture": architecture}
    assert accepted(check_data(tmp_path, good(system=system, volume=volume)))["system"]["firmware"] == firmware


def test_the_canonical_form_can_not_be_changed(tmp_path: Path) -> None:
    manifest = check_data(tmp_path, good()).manifest
    assert manifest is not None
    with pytest.raises(TypeError):
        manifest.data["system"]["release"] = "sid"  # type: ignore[index]
    with pytest.raises((TypeError, AttributeError)):
        manifest.data["packages"]["components"].append("contrib")
    copied = manifest.to_dict()
    copied["system"]["release"] = "sid"
    assert manifest.data["system"]["release"] == "trixie"
    assert json.loads(manifest.canonical_json()) == manifest.to_dict()


def test_partitions_keep_their_order(tmp_path: Path) -> None:
    partitions = {"type": "gpt", "var/tmp": {"size": "1GiB"}, "swap": {"size": "1GiB"}, "root": {"size": "2GiB"}}
    data = accepted(check_data(tmp_path, good(volume={"backing": "raw", "partitions": partitions})))
    assert list(data["volume"]["partitions"]) == ["type", "var/tmp", "swap", "root"]


def test_the_canonical_form_is_a_manifest_of_the_same_meaning(tmp_path: Path) -> None:
    first = accepted(check_data(tmp_path, good(plugins={"root_password": {"password": "correct horse"}})))
    assert accepted(check_data(tmp_path, first)) == first


def test_every_error_at_once(tmp_path: Path) -> None:
    text = """\
name: x{system.relase}
provider: {name: kvm, virtoi: [x]}
system:
  relase: trixie
  architecture: x86_64
volume:
  partitions:
    root: {size: 5x, filesystem: ext5}
    type: gtp
packages: {install_standard: yes}
plugins: {clodu_init: {}}
colour: blue
"""
    checked = check_yaml(tmp_path, text)
    found = {error.path: (error.line, error.column, error.hint) for error in checked.errors}
    assert found == {
        "name": (1, 7, "did you mean system.release?"),
        "provider.virtoi": (2, 23, "did you mean virtio?"),
        "system.relase": (4, 3, "did you mean release?"),
        "system.architecture": (5, 17, "did you mean amd64?"),
        "volume.partitions.root.size": (8, 18, ""),
        "volume.partitions.root.filesystem": (8, 34, "did you mean ext4?"),
        "volume.partitions.type": (9, 11, "did you mean gpt?"),
        "packages.install_standard": (10, 30, "write true"),
        "plugins.clodu_init": (11, 11, "did you mean cloud_init?"),
        "colour": (12, 1, ""),
    }
    assert checked.manifest is None


def test_an_error_as_json(tmp_path: Path) -> None:
    error = error_at(
        check_yaml(tmp_path, "name: x\nprovider: {name: kvm}\nvolume:\n  backing: qcow\n"), "volume.backing"
    )
    assert error.to_dict() == {
        "file": str(tmp_path / "manifest.yml"),
        "path": "volume.backing",
        "line": 4,
        "column": 12,
        "value": "qcow",
        "message": "must be one of those allowed",
        "allowed": ["raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "lvm"],
        "hint": "did you mean qcow2?",
    }


SECTIONS = [
    "",
    "provider",
    "bootstrapper",
    "system",
    "packages",
    "volume",
    "volume.partitions.root",
    "plugins.cloud_init",
]
SECTIONS += ["plugins.admin_user", "plugins.root_password", "plugins.build_metadata", "plugins.image_commands"]
SECTIONS += ["plugins.commands", "plugins.file_copy", "plugins.expand_root"]


@pytest.mark.parametrize("section", SECTIONS)
def test_unknown_keys_are_refused_everywhere(tmp_path: Path, section: str) -> None:
    path = f"{section}.surprise".strip(".")
    checked = check_data(tmp_path, with_key(path, "x"))
    assert [e.message for e in checked.errors if e.path == path][0].startswith("unknown ")


@pytest.mark.parametrize("kind", ["providers", "plugins"])
def test_unknown_keys_are_refused_where_no_role_is_yet(tmp_path: Path, kind: str) -> None:
    for file in sorted((house.schemas() / kind).glob("*.json")):
        if file.stem == "debconf":
            continue
        section = {"providers": "provider", "plugins": f"plugins.{file.stem}"}[kind]
        data = with_key(f"{section}.surprise", "x")
        if kind == "providers":
            data["provider"]["name"] = file.stem
        assert any(e.path == f"{section}.surprise" for e in check_data(tmp_path, data).errors), file


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", 5),
        ("name", None),
        ("provider", []),
        ("provider.virtio", "virtio_blk"),
        ("system", "trixie"),
        ("system.hostname", True),
        ("system.locale", {}),
        ("packages.install", "bash"),
        ("packages.install", [["bash"]]),
        ("packages.sources", []),
        ("packages.preferences", {"x": [{"package": "a", "pin": "release a=b"}]}),
        ("packages.preferences", {"x": [{"package": "a", "pin": "release a=b", "pin-priority": "1"}]}),
        ("bootstrapper.no-check-gpg", 1),
        ("volume", 5),
        ("volume.size", 5.5),
        ("volume.partitions", []),
        ("volume.partitions.root", "2GiB"),
        ("volume.partitions.root", {"size": "2GiB", "mountopts": "noatime"}),
        ("plugins", ["cloud_init"]),
        ("plugins.cloud_init", "debian"),
        ("plugins.commands", {"commands": ["ls"]}),
        ("plugins.commands", {"commands": [[]]}),
        ("plugins.commands", {"commands": [["echo", 1]]}),
        ("reproducible", "yes"),
        ("plugin_paths", "here"),
        ("schema_version", 2),
        ("extends", 5),
    ],
)
def test_wrong_types_are_refused(tmp_path: Path, path: str, value: Any) -> None:
    checked = check_data(tmp_path, with_key(path, value))
    assert checked.manifest is None
    assert any(error.path.startswith(path) and error.line == 1 for error in checked.errors), checked.errors


BAD: dict[str, list[Any]] = {
    "name": ["", "a b", "../x", "/x", "a/b", ".hidden", "-x", "x;y", "a\nb", "x" * 129, "ä", "x:y", "{%Q}", "{", "a}b"],
    "system.release": ["Trixie", "trixie; ls", "../x", "", "trixie\n", "x" * 61, "$(ls)", "-x"],
    "system.hostname": ["-x", "x-", "a_b", "a b", "a..b", "x" * 64, "a\n", "$(id)", "", "a."],
    "system.timezone": ["Europe/Berlni", "../etc/passwd", "/etc/passwd", "", "UTC\n", "Europe", "europe/berlin"],
    "system.locale": ["en_UK", "en", "en_US; ls", "../x", "", "en_US.UTF-8\n", "EN_us"],
    "system.charmap": ["utf8", "UTF-9", "", "UTF-8 x", "../UTF-8"],
    "packages.install": [
        ["Foo"],
        ["a b"],
        ["-y"],
        ["a;b"],
        ["x/"],
        ["x="],
        ["x=1 y"],
        [""],
        ["x/y/z"],
        ["$(ls)"],
        ["x="],
    ],
    "packages.components": [[], ["main contrib"], ["-x"], ["main\n"]],
    "packages.mirror": ["x", "http://a b", "http://u:p@h/", "http://h/'", "http://h/\nx", "javascript:x", "http://"],
    "packages.sources": [
        {"../x": ["deb http://h x main"]},
        {"a": ["http://h x main"]},
        {"a": ["deb http://h x main\ny"]},
    ],
    "packages.apt.conf.d": [{"a/b": "x"}, {"": "x"}],
    "bootstrapper.include_packages": [["x/y"], ["a,b"], ["a b"], ["./x.deb"]],
    "volume.size": ["5", "5x", "-1GiB", "1.5GiB", "0GiB", "40%", "remaining", "1 GiB", "1GiB\n"],
    "plugins.cloud_init.username": ["Root", "a b", "a:b", "../x", "", "a\n", "-x", "x" * 32],
    "plugins.build_metadata.path": ["etc/x", "/etc/../x", "/x/..", "/a\nb", "/{nothing}"],
    "plugins.file_copy.mkdirs": [[{"dir": "x"}], [{"dir": "/a/../b"}], [{"dir": "/a", "owner": "a:b"}]],
    "plugins.expand_root.root_device": ["/dev/../x", "sda", "/dev/sda; ls"],
}


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, values in BAD.items() for value in values])
def test_what_reaches_a_shell_a_path_or_a_file_is_checked(tmp_path: Path, path: str, value: Any) -> None:
    data = good()
    if path == "packages.apt.conf.d":
        data["packages"] = {"apt.conf.d": value}
    else:
        data = with_key(path, value)
    if path.startswith("plugins.file_copy"):
        data["plugins"]["file_copy"]["files"] = [{"src": ".", "dst": "/x"}]
    checked = check_data(tmp_path, data)
    assert checked.manifest is None
    assert all(error.path.startswith(path) for error in checked.errors), [str(e) for e in checked.errors]


FINE: dict[str, list[Any]] = {
    "name": ["a", "A.b-c_d+e~f", "{system.release}-{%Y}{%m}{%d}", "x{provider.name}", "9"],
    "system.release": ["sid", "unstable", "trixie-backports", "oldstable"],
    "system.hostname": ["a", "a.b.c", "A-1", "x" * 63, None],
    "system.timezone": ["Europe/Berlin", "UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "GMT", "Etc/UTC"],
    "system.locale": ["en_US", "de_DE.UTF-8", "C", "ca_ES@valencia", "C.UTF-8", "sr_RS@latin", "POSIX"],
    "packages.install": [["bash"], ["bash/sid"], ["bash=5.2-1+b1"], ["g++"], ["libc6:i386"], ["bash=1:5~rc1-1"]],
    "packages.sources": [
        {"a": ["deb http://h/d trixie main contrib"]},
        {"a.list": ["deb [arch=amd64 signed-by=/etc/apt/keys/x.asc] https://h/ ./"]},
        {"b": ["deb-src {apt_mirror} {system.release}-updates main"]},
    ],
    "packages.mirror": ["http://h/debian", "https://h:8080/d/", "file:/srv/debian", "file:///srv/d", "copy:/srv/d"],
    "packages.preferences": [{"x": [{"package": "a b*", "pin": "release n=trixie-backports", "pin-priority": -1}]}],
    "volume.size": ["3GiB", "3000MB", "3221225472B", "003GiB"],
    "volume.partitions.root.mountopts": [["noatime", "errors=remount-ro", "commit=30"]],
    "volume.partitions.root.mode": ["0755", "1777", None],
}


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, values in FINE.items() for value in values])
def test_what_is_fine_is_taken(tmp_path: Path, path: str, value: Any) -> None:
    accepted(check_data(tmp_path, with_key(path, value)))


def test_apt_settings_may_span_lines(tmp_path: Path) -> None:
    data = accepted(check_data(tmp_path, good(packages={"apt.conf.d": {"90x": 'A "b";\nC "d";\n'}})))
    assert data["packages"]["apt.conf.d"] == {"90x": 'A "b";\nC "d";\n'}


def test_files_must_exist_and_become_absolute(tmp_path: Path) -> None:
    (tmp_path / "key.asc").write_text("k")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/x_1_all.deb").write_text("d")
    data = good(packages={"install": ["./sub/x_1_all.deb", "bash"], "trusted-keys": ["key.asc"]}, plugin_paths=["sub"])
    data["plugins"]["file_copy"] = {"files": [{"src": "sub", "dst": "/srv/"}]}
    data["plugins"]["admin_user"] = {"pubkey": "key.asc"}
    got = accepted(check_data(tmp_path, data))
    assert got["packages"]["install"] == [str(tmp_path / "sub/x_1_all.deb"), "bash"]
    assert got["packages"]["trusted-keys"] == [str(tmp_path / "key.asc")]
    assert got["plugin_paths"] == [str(tmp_path / "sub")]
    assert got["plugins"]["file_copy"]["files"][0]["src"] == str(tmp_path / "sub")
    assert got["plugins"]["admin_user"]["pubkey"] == str(tmp_path / "key.asc")


@pytest.mark.parametrize(
    ("path", "value", "at"),
    [
        ("packages.install", ["bash", "./x_1_all.deb"], "packages.install[1]"),
        ("packages.trusted-keys", ["x.asc"], "packages.trusted-keys[0]"),
        ("packages.trusted-keys", ["."], "packages.trusted-keys[0]"),
        ("bootstrapper.tarball", "x.tar", "bootstrapper.tarball"),
        ("bootstrapper.keyring", "x.gpg", "bootstrapper.keyring"),
        ("plugins.admin_user.pubkey", "id.pub", "plugins.admin_user.pubkey"),
        ("plugins.file_copy.files", [{"src": "x", "dst": "/x"}], "plugins.file_copy.files[0].src"),
        ("plugin_paths", ["nowhere"], "plugin_paths[0]"),
        ("plugins.root_password.password_file", "nothing", "plugins.root_password.password_file"),
    ],
)
def test_a_file_that_is_not_there_is_an_error(tmp_path: Path, path: str, value: Any, at: str) -> None:
    error = error_at(check_data(tmp_path, with_key(path, value)), at)
    assert "is not there" in error.message or "is no file" in error.message


def test_a_misspelt_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "admin_key.pub").touch()
    error = error_at(
        check_data(tmp_path, with_key("plugins.admin_user.pubkey", "admin-key.pub")), "plugins.admin_user.pubkey"
    )
    assert error.hint == "did you mean admin_key.pub?"


def test_every_schema_is_one_and_all_examples_are_right(
    tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in [*repo.glob("schemas/**/*.json"), *repo.glob("roles/*/meta/schema.json")]:
        Draft202012Validator.check_schema(schemas.read(file))
    monkeypatch.setenv("ADMIN_PASSWORD", "correct horse")
    monkeypatch.setenv("ROOT_PASSWORD", "battery staple")
    for file in sorted(path for path in (repo / "manifests").iterdir() if path.is_file()):
        checked = check(file)
        assert not checked.notices, file
        accepted(checked)
        assert not checked.not_built, file


def test_a_key_of_another_section_is_told_where_it_belongs(tmp_path: Path) -> None:
    assert error_at(check_data(tmp_path, good(timezone="UTC")), "timezone").hint == "timezone belongs to system"
    assert error_at(check_data(tmp_path, with_key("system.reproducible", True)), "system.reproducible").hint


def test_what_is_declared_but_not_built_is_named(tmp_path: Path) -> None:
    volume = {"backing": "vdi", "partitions": {"root": {"size": "2GiB", "filesystem": "xfs"}}}
    data = good(provider={"name": "virtualbox"}, volume=volume)
    data["plugins"]["opennebula"] = {}
    checked = check_data(tmp_path, data)
    accepted(checked)
    assert checked.not_built == (
        "provider_virtualbox", "plugin_opennebula",
    )  # fmt: skip


def test_a_release_that_is_gone_is_no_error_of_the_schema(tmp_path: Path) -> None:
    accepted(check_data(tmp_path, with_key("system.release", "squeeze")))


def test_it_takes_about_a_second_at_most(tmp_path: Path) -> None:
    data = good(packages={"install": [f"package-{n}" for n in range(2000)] + ["Wrong Name"] * 500})
    start = time.monotonic()
    assert len(check_data(tmp_path, data).errors) == 500
    assert time.monotonic() - start < 20  # a machine may be busy; alone it is 0.3 s


def test_a_manifest_is_laid_over_another(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/key.asc").touch()
    (tmp_path / "base/b.yml").write_text(
        "name: base\nprovider: {name: kvm}\npackages: {install: [a1, b1], trusted-keys: [key.asc]}\n"
        "volume:\n  size: 3GiB\n  partitions: {root: {}, swap: {size: 1GiB}}\nsystem: {locale: xx_YY}\n"
    )
    text = "extends: base/b.yml\nname: top\npackages: {install: [c1]}\nsystem: {locale: de_DE}\n"
    data = accepted(check_yaml(tmp_path, text))
    assert (data["name"], data["extends"], data["packages"]["install"]) == ("top", None, ["c1"])
    assert data["volume"]["size"] == "3GiB" and data["packages"]["trusted-keys"] == [str(tmp_path / "base/key.asc")]
    error = error_at(check_yaml(tmp_path, "extends: base/b.yml\n"), "system.locale")
    assert error.file == str(tmp_path / "base/b.yml") and error.line == 7


def test_manifests_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("extends: manifest.yml\n")
    assert error_at(check_yaml(tmp_path, "extends: a.yml\n"), "extends").message == "extends itself"
    assert any("can't be read" in e.message for e in check_yaml(tmp_path, "extends: none.yml\n").errors)


@pytest.mark.parametrize("written", ["de_DE.UTF-8", "de_DE.utf8", "de_DE"])
def test_a_locale_may_name_the_charmap_that_the_system_has(tmp_path: Path, written: str) -> None:
    assert accepted(check_data(tmp_path, with_key("system.locale", written)))["system"]["locale"] == "de_DE"
