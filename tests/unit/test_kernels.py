# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels are found by the names of their files, whether compressed or not, and the newest is the highest version."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debfleet.common import kernels
from debfleet.common.architectures import TABLE, Architecture
from debfleet.common.errors import DebfleetError


@pytest.mark.parametrize("kind", ["vmlinuz", "vmlinux"])
def test_the_newest_is_the_one_of_the_highest_version(kind: str) -> None:
    names = ["6.9.1-amd64", "6.12.10-amd64", "6.12.9-amd64", "6.12.10-cloud-amd64", "6.13~rc1-amd64", "6.1.0-9-amd64"]
    ordered = ["6.1.0-9-amd64", "6.9.1-amd64", "6.12.9-amd64", "6.12.10-amd64"]
    assert kernels.newest(f"{kind}-{name}" for name in names) == f"{kind}-6.13~rc1-amd64"
    assert kernels.newest([f"{kind}-6.13-amd64", f"{kind}-6.13~rc1-amd64"]) == f"{kind}-6.13-amd64"
    for low, high in zip(ordered, ordered[1:], strict=False):
        assert kernels.newest([f"{kind}-{high}", f"{kind}-{low}"]) == f"{kind}-{high}"


def test_what_is_no_kernel_is_none() -> None:
    others = ["initrd.img-6", "vmlinuz", "vmlinuz-", "vmlinuz.old", "vmlinux", "System.map-6", "config-6", "xvmlinuz-6"]
    assert kernels.among(others) == []
    assert kernels.newest(others) is None


def test_of_one_version_the_compressed_one_counts() -> None:
    assert kernels.among(["vmlinux-6", "vmlinuz-6", "vmlinux-7"]) == ["vmlinuz-6", "vmlinux-7"]


@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1)))
def test_any_versions_can_be_compared(versions: list[str]) -> None:
    found = kernels.among(f"vmlinux-{version}" for version in versions)
    assert sorted(map(kernels.version, found)) == sorted(set(versions))
    assert kernels.newest(found) == (found[-1] if found else None)


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_those_of_each_architecture_are_found_in_a_tree(tmp_path: Path, row: Architecture) -> None:
    (tmp_path / "boot").mkdir()
    with pytest.raises(DebfleetError, match="no kernel"):
        kernels.needed(tmp_path)
    name = f"{row.kernel_file}-6.12.43+deb13-generic"
    (tmp_path / "boot" / name).touch()
    (tmp_path / "boot" / f"{name.replace('43', '50')}").mkdir()
    assert kernels.within(tmp_path) == kernels.needed(tmp_path) == [name]
    assert kernels.initrd(name) == "initrd.img-6.12.43+deb13-generic"
