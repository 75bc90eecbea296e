# SPDX-License-Identifier: GPL-3.0-or-later
"""Combinations that can't be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from manifest_tools import accepted, check_data, error_at, good, with_key


def volume(kind: str = "gpt", backing: str = "raw", size: str | None = None, **partitions: Any) -> dict[str, Any]:
    parts = {"root": {"size": "2GiB"}, **partitions}
    return {"backing": backing, "size": size, "partitions": {"type": kind, **{k: v for k, v in parts.items() if v}}}


def ec2(kind: str, bootloader: str, disk: dict[str, Any], **more: Any) -> dict[str, Any]:
    provider = {"name": "ec2", "description": "x", "virtualization": kind, **more}
    return good(provider=provider, system={"bootloader": bootloader, "architecture": "amd64"}, volume=disk)


def kvm(disk: dict[str, Any], **system: Any) -> dict[str, Any]:
    return good(system={"architecture": "amd64", **system}, volume=disk)


EBS, S3 = volume("gpt", "ebs"), volume("none", "s3")
WRONG = [
    (kvm(volume(root=None)), "volume.partitions.root", "no root"),
    (good(volume=None), "volume.partitions.root", "no root"),
    (kvm(volume("none", var={"size": "1GiB"}), bootloader="none"), "volume.partitions.var", "needs a partition map"),
    (kvm(volume("none", swap={"size": "1GiB"}), bootloader="none"), "volume.partitions.swap", "needs a partition map"),
    (kvm(volume("none")), "system.bootloader", "grub can't boot a disk whose map is none"),
    (kvm(volume("msdos", root={"size": "3TiB"})), "volume.partitions.root.size", "2 TiB"),
    (kvm(volume(size="1GiB")), "volume.partitions.root.size", "larger than the volume"),
    (kvm(volume(root={"size": "remaining"})), "volume.partitions.root.size", "no size"),
    (kvm(volume(root={"size": "50%"})), "volume.partitions.root.size", "no size"),
    (kvm(volume(size="9GiB", root={"size": "60%"}, var={"size": "60%"})), "volume.partitions.var.size", "100 %"),
    (kvm(volume(proc={"size": "1GiB"})), "volume.partitions.proc", "can't be a partition"),
    (kvm(volume(**{"etc/x": {"size": "1GiB"}})), "volume.partitions.etc/x", "can't be a partition"),
    (kvm(volume(**{"boot/efi": {"size": "1GiB"}})), "volume.partitions.boot/efi", "debfleet's own"),
    (kvm(volume(root={"size": "2GiB", "filesystem": "btrfs", "mountopts": ["noatime", "subvol=@"]})),
     "volume.partitions.root.mountopts[1]", "no such subvolume"),
    (kvm(volume(), firmware="uefi", bootloader="extlinux"), "system.firmware", "not started by uefi"),
    (kvm(volume(), firmware="bios", bootloader="systemd-boot"), "system.firmware", "not started by bios"),
    (kvm(volume("msdos"), bootloader="systemd-boot"), "system.bootloader", "map is msdos"),
    (kvm(volume("msdos"), firmware="both"), "system.firmware", "needs a GPT"),
    (kvm(volume(), architecture="arm64", firmware="bios"), "system.firmware", "no BIOS"),
    (kvm(volume(), architecture="arm64", firmware="both"), "system.firmware", "no BIOS"),
    (kvm(volume(), architecture="arm64", bootloader="extlinux"), "system.bootloader", "does not boot arm64"),
    (kvm(volume(), architecture="armel"), "system.bootloader", "does not boot armel"),
    (kvm(volume(), architecture="s390x", bootloader="systemd-boot"), "system.bootloader", "does not boot s390x"),
    (kvm(volume(), architecture="ppc64el", bootloader="none", firmware="uefi"), "system.firmware", "no UEFI"),
    (kvm(volume(), architecture="i386", release="trixie"), "system.release", "trixie has no kernel for i386"),
    (kvm(volume(), architecture="riscv64", release="bookworm"), "system.release", "has no kernel for riscv64"),
    (kvm(volume(), bootloader="pvgrub"), "system.bootloader", "must be one of"),
    (kvm(volume(backing="ebs")), "volume.backing", "must be one of"),
    (kvm(volume(backing="lvm")), "volume.volumegroup", "lvm needs it"),
    (kvm({**volume(), "volumegroup": "vg"}), "volume.volumegroup", "only lvm"),
    (ec2("pvm", "grub", EBS), "system.bootloader", "boots by pvgrub"),
    (ec2("hvm", "pvgrub", EBS), "system.bootloader", "paravirtual"),
    (ec2("hvm", "extlinux", S3, bucket="some-bucket"), "volume.backing", "backed by ebs"),
    (ec2("pvm", "pvgrub", volume("gpt", "s3"), bucket="some-bucket"), "volume.partitions.type", "no partition map"),
    (ec2("pvm", "pvgrub", S3), "provider.bucket", "needs it"),
    (ec2("pvm", "pvgrub", S3, bucket="some-bucket", encrypted=True), "provider.encrypted", "only ebs"),
    (ec2("hvm", "grub", EBS, kms_key_id="k"), "provider.kms_key_id", "without encryption"),
    (ec2("hvm", "grub", volume("gpt", "ebs", root={"size": "1500MiB"})), "volume.partitions", "multiple of 1 GiB"),
    (ec2("hvm", "grub", volume("gpt", "ebs", size="2500MiB")), "volume.size", "multiple of 1 GiB"),
    (good(provider={"name": "docker"}, system={"bootloader": "grub"}, volume=volume("none", "folder")),
     "system.bootloader", "must be one of"),
    (good(provider={"name": "docker"}, volume=volume("gpt", "folder")), "volume.partitions.type", "must be one of"),
    (good(bootstrapper={"include_packages": ["vim"], "exclude_packages": ["nano", "vim"]}),
     "bootstrapper.exclude_packages[1]", "included too"),
    (good(bootstrapper={"no-check-gpg": True, "force-check-gpg": True}), "bootstrapper.force-check-gpg", "contrary"),
    (good(plugins={"admin_user": {"username": "debian"}, "cloud_init": {}}), "plugins.admin_user.username", "too"),
    (good(plugins={"cloud_init": {"username": "root"}}), "plugins.cloud_init.username", "root is there"),
    (good(system={"release": "trixie", "locale": "de_DE.UTF-8", "charmap": "ISO-8859-1"}), "system.locale", "charmap"),
    (good(plugins={"admin_user": {"username": "adm"}}), "plugins.admin_user.username", "adm is there"),
    (good(plugins={"prebootstrapped": {"image": ".", "folder": "."}}), "plugins.prebootstrapped", "at most 1"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "path", "said"), WRONG, ids=[f"{path}-{said}" for _, path, said in WRONG])
def test_impossible_combinations_are_refused(tmp_path: Path, data: dict[str, Any], path: str, said: str) -> None:
    checked = check_data(tmp_path, data)
    found = [error for error in checked.errors if error.path == path]
    assert found, [str(error) for error in checked.errors]
    assert any(said in error.message for error in found), [str(error) for error in found]
    assert checked.manifest is None


FINE = [
    kvm(volume("msdos", **{f"srv/{n}": {"size": "10MiB"} for n in range(20)})),
    kvm(volume("none"), bootloader="none"),
    kvm(volume("none"), bootloader="extlinux"),
    kvm(volume("msdos"), firmware="uefi"),
    kvm(volume(), bootloader="systemd-boot"),
    kvm(volume(), architecture="riscv64", release="trixie"),
    kvm(volume(), architecture="i386", release="bookworm"),
    kvm(volume(), architecture="i386", release="bullseye"),  # of which nothing is known
    kvm(volume("none"), architecture="i386", release="sid", bootloader="none"),  # with a kernel from elsewhere
    kvm(volume(), architecture="arm64", bootloader="none", firmware="uefi"),
    kvm(volume(), architecture="s390x", bootloader="none"),
    kvm({**volume(backing="lvm"), "volumegroup": "vg", "logicalvolume": "lv"}),
    ec2("pvm", "pvgrub", S3, bucket="some-bucket", region="eu-central-1"),
    ec2("hvm", "grub", EBS, encrypted=True, kms_key_id="k"),
    ec2("hvm", "grub", volume("msdos", "ebs", root={"size": "1022MiB"}, boot={"size": "1GiB"})),
    good(provider={"name": "docker"}, system=None, volume={"partitions": {"root": {"size": "1GiB"}}}),
]


@pytest.mark.parametrize("data", FINE)
def test_possible_combinations_are_taken(tmp_path: Path, data: dict[str, Any]) -> None:
    accepted(check_data(tmp_path, data))


def test_more_than_an_mbr_holds_is_refused(tmp_path: Path) -> None:
    many = {f"srv/{n}": {"size": "10MiB"} for n in range(80)}
    assert "more than" in error_at(check_data(tmp_path, kvm(volume("msdos", **many))), "volume.partitions").message


def test_a_missing_size_is_told(tmp_path: Path) -> None:
    error = error_at(check_data(tmp_path, kvm(volume(var={"filesystem": "ext4"}))), "volume.partitions.var.size")
    assert "is missing" in error.message


def test_rules_look_at_what_other_errors_leave(tmp_path: Path) -> None:
    data = kvm(volume("none", var={"size": "1GiB"}), timezone="Nowhere", locale="xx_YY")
    assert {e.path for e in check_data(tmp_path, data).errors} == {
        "system.timezone", "system.locale", "system.bootloader", "volume.partitions.var",
    }  # fmt: skip


def test_an_error_is_not_the_cause_of_others(tmp_path: Path) -> None:
    for path, value in (("volume.partitions.type", "gtp"), ("system.bootloader", "gurb"), ("provider.name", "kvn")):
        assert [e.path for e in check_data(tmp_path, with_key(path, value)).errors] == [path]


def test_an_image_that_nobody_can_log_in_to_is_noticed(tmp_path: Path) -> None:
    def told(plugins: dict[str, Any]) -> bool:
        return any(
            "nobody can log in" in notice.message for notice in check_data(tmp_path, good(plugins=plugins)).notices
        )

    assert told({}) and told({"admin_user": {}})
    assert not told({"cloud_init": {}}) and not told({"root_password": {"password": "correct horse"}})
    assert not told({"admin_user": {"password": "correct horse"}})


@pytest.mark.parametrize(
    ("backing", "settings", "key"),
    [
        ("qcow2", {"shrink": "vmware-vdiskmanager"}, "shrink"),
        ("raw", {"shrink": "qemu-img"}, "shrink"),
        ("vdi", {"shrink": True, "compression": "zstd"}, "compression"),
        ("vmdk", {"shrink": "qemu-img", "compression": "zstd"}, "compression"),
        ("vmdk", {"shrink": "vmware-vdiskmanager"}, ""),
        ("vdi", {"shrink": True}, ""),
        ("raw", {"shrink": "qemu-img-no-compression"}, ""),
        ("qcow2", {"shrink": "qemu-img", "compression": "zlib"}, ""),
    ],
)
def test_a_format_is_shrunk_only_as_it_can_be(tmp_path: Path, backing: str, settings: Any, key: str) -> None:
    data = good(plugins={"cloud_init": {}, "minimize_size": settings})
    data["volume"]["backing"] = backing
    paths = [error.path for error in check_data(tmp_path, data).errors]
    assert paths == ([f"plugins.minimize_size.{key}"] if key else [])
