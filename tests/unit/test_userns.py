# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's subordinate ids, and what only root can have built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debfleet.common import ledger, userns
from debfleet.common.errors import DebfleetError, MissingError
from debfleet.common.userns import Range, mapping, parse
from debfleet.controller import unprivileged

SUBUID = "# a comment\nroot:100000:65536\nann:165536:65536\n1000:300000:10\nann:400000:5\nann:x:5\nann:7:0\nbroken\n"


def test_the_ranges_of_a_user_are_found_by_name_and_by_uid() -> None:
    assert parse(SUBUID, ("ann", "1000")) == [Range(165536, 65536), Range(300000, 10), Range(400000, 5)]
    assert parse(SUBUID, ("bob", "1001")) == []


def test_root_is_the_user_and_the_others_are_subordinate() -> None:
    assert mapping(1000, [Range(165536, 65536)]) == ["0", "1000", "1", "1", "165536", "65535"]


@given(st.integers(1, 60000), st.lists(st.builds(Range, st.integers(100000, 2**31), st.integers(1, 70000)), max_size=5))
def test_a_mapping_has_each_id_of_an_image_once(own: int, ranges: list[Range]) -> None:
    words = list(map(int, mapping(own, ranges)))
    inside = [id_ for at in range(0, len(words), 3) for id_ in range(words[at], words[at] + words[at + 2])]
    assert inside == list(range(len(inside)))
    assert len(inside) == 1 + min(userns.LAST, sum(one.count for one in ranges))


def test_too_few_ids_are_told_with_the_command_that_gives_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(userns, "account", lambda: "ann")
    files = {"/etc/subuid": "bob:100000:65536\n", "/etc/subgid": "ann:100000:1000\n"}
    monkeypatch.setattr(userns, "_read", lambda file: files[str(file)])
    with pytest.raises(MissingError) as raised:
        userns.require()
    told = str(raised.value)
    assert "/etc/subuid gives ann none" in told
    assert "/etc/subgid gives ann 1000 ids, and the users of an image need 65535" in told
    assert "usermod --add-subuids 165536-231071 --add-subgids 101000-166535 ann" in told


def test_what_runs_inside_has_the_users_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "DEBFLEET_CACHE", userns.USER):
        monkeypatch.delenv(name, raising=False)
    assert ledger.state_folder() == Path("/var/lib/debfleet")
    assert ledger.cache_folder() == Path("/var/cache/debfleet")
    monkeypatch.setenv(userns.USER, "1000")
    assert ledger.state_folder() == tmp_path / ".local/state/debfleet"
    assert ledger.cache_folder() == tmp_path / ".cache/debfleet"


def asked(tool: str = "mmdebstrap", filesystem: str = "ext4", bootloader: str = "grub") -> tuple[Any, Any]:
    manifest = {"bootstrapper": {"tool": tool}, "system": {"bootloader": bootloader}}
    return manifest, {"partitions": [{"name": "esp"}, {"name": "root", "filesystem": filesystem}]}


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ({"tool": "debootstrap"}, "bootstrapper.tool: debootstrap"),
        ({"filesystem": "xfs"}, "volume.partitions.root.filesystem: xfs"),
        ({"filesystem": "btrfs"}, "volume.partitions.root.filesystem: btrfs"),
        ({"bootloader": "extlinux"}, "system.bootloader: extlinux"),
    ],
)
def test_what_only_root_can_have_is_refused(monkeypatch: pytest.MonkeyPatch, words: dict[str, str], where: str) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(DebfleetError) as raised:
        unprivileged.require(*asked(**words))
    assert where in raised.value.why
    assert "or build as root" in raised.value.hint


def test_root_is_refused_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    unprivileged.require(*asked("debootstrap", "btrfs", "extlinux"))
    assert not list(unprivileged.refusals(*asked()))
