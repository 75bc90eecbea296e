# SPDX-License-Identifier: GPL-3.0-or-later
"""The four published generations of bootstrap-vz manifests, accepted and brought to one form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from manifest_tools import accepted, check, check_data, error_at, good, with_key

from debfleet.common.manifest import Checked


@pytest.fixture
def data_folder() -> Path:
    return Path(__file__).parent.parent / "data/manifests"


def notices(checked: Checked) -> dict[str, str]:
    return {notice.path: notice.message for notice in checked.notices}


def test_generation_1(data_folder: Path) -> None:
    checked = check(data_folder / "generation-1.json")
    data = accepted(checked)
    assert data["name"] == "debian-wheezy-amd64-pvm-20260304"
    assert data["provider"]["name"] == "ec2" and data["provider"]["virtualization"] == "pvm"
    assert data["provider"]["description"] == "Debian wheezy amd64 (pvm)"
    assert "credentials" not in data["provider"]
    assert data["bootstrapper"]["workspace"] == "/target"
    assert data["packages"]["mirror"] == "http://mirror.example/debian/"
    assert data["system"]["bootloader"] == "pvgrub"
    assert data["volume"]["size"] is None and data["volume"]["partitions"]["type"] == "none"
    assert data["volume"]["partitions"]["root"]["size"] == "1024MiB"
    assert list(data["plugins"]) == ["admin_user"]
    told = notices(checked)
    assert {
        "provider",
        "virtualization",
        "credentials",
        "bootstrapdir",
        "image.name",
        "image.description",
    } <= told.keys()
    assert {"system.mirror", "system.packages", "volume.filesystem", "volume.size"} <= told.keys()
    assert {"plugins.admin-user", "plugins.admin-user.enabled", "plugins.build-metadata"} <= told.keys()
    assert all(notice.line > 1 for notice in checked.notices)


def test_generation_2(data_folder: Path) -> None:
    checked = check(data_folder / "generation-2.json")
    data = accepted(checked)
    assert data["name"] == "debian-wheezy-amd64-260304"
    assert data["packages"]["components"] == ["main", "contrib"]
    assert data["packages"]["install"] == ["sudo", "apache2"]
    assert data["volume"]["backing"] == "vmdk"
    partitions = data["volume"]["partitions"]
    assert partitions["type"] == "msdos"
    assert [partitions[name]["size"] for name in ("boot", "root", "swap")] == ["64MiB", "1856MiB", "128MiB"]
    assert data["plugins"]["root_password"]["password-crypted"].startswith("$6$")
    assert data["plugins"]["minimize_size"]["dpkg"] == {"locales": ["en"], "exclude_docs": True}
    assert data["system"]["hostname"] == "localhost"
    assert "description" not in data["provider"]
    assert notices(checked)["image.description"] == "means nothing any more and was left out"
    assert checked.secrets[0] == "correct horse"


def test_generation_3(data_folder: Path) -> None:
    data = accepted(check(data_folder / "generation-3.json"))
    assert data["name"] == "debian-jessie-amd64-hvm-2026-03-04-ebs"
    assert data["packages"]["install"] == ["sudo", "cloud-init/jessie-backports"]
    assert data["packages"]["sources"]["backports"] == ["deb     http://mirror.example/debian jessie-backports main"]
    assert data["plugins"]["image_commands"]["commands"] == [["sed", "-i", "-e", "s|a/b|c|", "/etc/motd"]]


def test_generation_3_with_a_list_of_partitions(data_folder: Path) -> None:
    checked = check(data_folder / "generation-3-gpt.json")
    data = accepted(checked)
    assert data["name"] == "debian-wheezy-virtio"
    assert data["provider"]["virtio"] == ["virtio_pci", "virtio_blk"]
    assert data["volume"]["partitions"]["type"] == "gpt"
    assert data["volume"]["partitions"]["root"]["size"] == "8192MiB"
    assert "volume.loopback_dir" in notices(checked)


def test_generation_4(data_folder: Path) -> None:
    checked = check(data_folder / "generation-4.yml")
    data = accepted(checked)
    assert data["name"] == "debian-stretch-amd64-260304"
    assert data["plugins"]["commands"]["commands"] == [["touch", "/etc/one"], ["sh", "-c", "echo two > /etc/two"]]
    assert data["volume"]["partitions"]["tmp"]["mode"] == "1777"
    assert not checked.not_built
    assert set(notices(checked)) == {"plugins.commands.commands[0]", "plugins.commands.commands[1]"}


def test_an_error_of_a_moved_key_is_told_where_it_was_written(tmp_path: Path) -> None:
    data = good(name=None, image={"name": "a b"}, bootstrapdir=5)
    checked = check_data(tmp_path, data)
    assert error_at(checked, "image.name").value == "a b"
    assert error_at(checked, "bootstrapdir").value == 5


def test_both_forms_of_a_key_at_once_are_an_error(tmp_path: Path) -> None:
    checked = check_data(tmp_path, good(image={"name": "other"}))
    assert "means the same" in error_at(checked, "image.name").message


@pytest.mark.parametrize(
    ("path", "value", "at", "wanted"),
    [
        ("volume.partitions.type", "mbr", "volume.partitions.type", "msdos"),
        ("volume.partitions.root.size", 1024, "volume.partitions.root.size", "1024MiB"),
        ("volume.partitions.root.size", "1G", "volume.partitions.root.size", "1GiB"),
        ("volume.partitions.root.mode", 755, "volume.partitions.root.mode", "755"),
        ("volume.size", 4096, "volume.size", "4096MiB"),
        ("volume.size", 3, "volume.size", "3GiB"),
        ("plugins.admin-user", {"username": "a"}, "plugins.admin_user.username", "a"),
        ("plugins.expand_root", None, "plugins.expand_root.root_device", None),
        ("plugins.backports", {"packages": ["vim"]}, "packages.install", ["vim/trixie-backports"]),
        ("plugins.packages", {"remote": ["vim"]}, "packages.install", ["vim"]),
        ("packages.remote", ["vim", {"name": "nano"}], "packages.install", ["vim", "nano"]),
        ("system.sections", ["main", "contrib"], "packages.components", ["main", "contrib"]),
        ("provider", "libvirt", "provider.name", "kvm"),
        ("credentials", {"root": "correct horse"}, "plugins.root_password.password-crypted", None),
    ],
)
def test_older_keys_and_values(tmp_path: Path, path: str, value: Any, at: str, wanted: Any) -> None:
    got: Any = accepted(check_data(tmp_path, with_key(path, value)))
    for key in at.split("."):
        got = got[key]
    assert got == wanted or (wanted is None and str(got).startswith("$6$"))


def test_a_plugin_that_is_not_enabled_is_left_out(tmp_path: Path) -> None:
    checked = check_data(tmp_path, with_key("plugins.prebootstrapped", {"enabled": False, "snapshot": ""}))
    assert "prebootstrapped" not in accepted(checked)["plugins"]
    assert "was left out" in notices(checked)["plugins.prebootstrapped"]


def test_tags_move_to_the_provider(tmp_path: Path) -> None:
    data = good(
        provider={"name": "ec2", "virtualization": "hvm", "description": "x"},
        tags={"Debian": "{system.release}"},
        volume={"backing": "ebs", "partitions": {"type": "gpt", "root": {"size": "8GiB"}}},
    )
    assert accepted(check_data(tmp_path, data))["provider"]["tags"] == {"Debian": "trixie"}


def test_docker_names_have_a_tag(tmp_path: Path) -> None:
    data = good(
        name="debian-{system.release}:{%Y}{%m}", provider={"name": "docker", "dockerfile": "CMD /bin/bash\n"},
        system={"bootloader": "none"},
        volume={"backing": "folder", "partitions": {"type": "none", "root": {"size": "1GiB"}}},
    )  # fmt: skip
    got = accepted(check_data(tmp_path, data))
    assert got["name"] == "debian-trixie"
    assert got["provider"] == {"name": "docker", "tag": "202603", "dockerfile": ["CMD /bin/bash"]}


def test_pip3_install_is_pip_install_today(tmp_path: Path) -> None:
    checked = check_data(tmp_path, with_key("plugins.pip3_install", {"packages": ["six"]}))
    assert accepted(checked)["plugins"]["pip_install"] == {"packages": ["six"], "venv": None}
    assert notices(checked) == {"plugins.pip3_install": "is written plugins.pip_install today"}
    both = {"pip_install": {"packages": ["rich"]}, "pip3_install": {"packages": ["six"]}}
    assert accepted(check_data(tmp_path, good(plugins={**good()["plugins"], **both})))["plugins"]["pip_install"][
        "packages"
    ] == ["rich", "six"]


@pytest.mark.parametrize("key", ["files", "mkdirs"])
def test_what_is_no_list_of_files_is_an_error_and_no_crash(tmp_path: Path, key: str) -> None:
    data = with_key(f"plugins.file_copy.{key}", True)
    assert error_at(check_data(tmp_path, data), f"plugins.file_copy.{key}")
