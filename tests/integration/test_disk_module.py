# SPDX-License-Identifier: GPL-3.0-or-later
"""The module image_disk: its states, check mode and diff, and its errors."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import image_disk
import pytest
from ansible.module_utils.testing import patch_module_args

Run = Callable[..., dict[str, Any]]
MIB = 1 << 20
VOLUME = {
    "backing": "raw",
    "size": "200MiB",
    "partitions": {
        "type": "gpt",
        "swap": {"size": "8MiB"},
        "root": {"size": "remaining", "filesystem": "ext4", "mountopts": [], "mode": None, "format_command": None},
    },
}
DESCRIPTION = {"volume": VOLUME, "firmware": "both", "bootloader": "grub", "seed": "s"}


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_module(check: bool = False, **options: Any) -> dict[str, Any]:
        given = {"path": str(tmp_path / "disk.raw"), **options, "_ansible_check_mode": check}
        with patch_module_args(given), pytest.raises(SystemExit):
            image_disk.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run_module


@pytest.mark.root
def test_a_disk_comes_to_be_in_three_steps_each_of_which_is_idempotent(run: Run, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    for state, changed in (("partitioned", True), ("partitioned", False), ("prepared", True), ("prepared", False)):
        result = run(state=state, **DESCRIPTION)
        assert result["changed"] is changed, state
        assert [part["name"] for part in result["layout"]["partitions"]] == ["bios_grub", "esp", "swap", "root"]
    filled = run(state="filled", tree=str(tree), layout=result["layout"])
    assert filled["changed"] is True
    assert filled["layout"] == result["layout"]
    assert "root: 125 MiB at 74 MiB, ext4" in filled["diff"]["after"]
    assert filled["diff"]["before"].splitlines()[-1].endswith("created")
    assert filled["diff"]["after"].splitlines()[-1].endswith("filled")
    assert run(state="prepared", **DESCRIPTION)["changed"] is False
    assert run(state="partitioned", **DESCRIPTION)["changed"] is False


def test_check_mode_tells_the_same_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    told = run(check=True, **DESCRIPTION)
    assert list(tmp_path.iterdir()) == []
    done = run(**DESCRIPTION)
    assert told == done
    assert told["diff"]["before"] == ""
    before = (tmp_path / "disk.raw").stat()
    assert run(check=True, **{**DESCRIPTION, "seed": "other"})["changed"] is True
    after = (tmp_path / "disk.raw").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)  # to read it may change its atime


def test_a_disk_of_another_layout_is_made_anew_and_shown(run: Run, tmp_path: Path) -> None:
    run(size="100MiB", map="msdos", partitions={"root": {"size": "50MiB"}})
    result = run(**DESCRIPTION)
    assert result["changed"] is True
    assert result["diff"]["before"].splitlines()[0].startswith("dos 0x")
    assert result["diff"]["before"].splitlines()[1:] == ["1: 50 MiB at 1 MiB, 83"]
    assert (tmp_path / "disk.raw").stat().st_size == 200 * MIB


def test_a_random_seed_gives_another_disk_each_time(run: Run) -> None:
    made = [run(size="100MiB", partitions={"root": {"size": "50MiB"}})["layout"]["disk_uuid"] for _ in range(2)]
    assert made[0] != made[1]


@pytest.mark.parametrize(
    ("options", "message", "words"),
    [
        ({}, "one of the following is required", ""),
        ({"volume": VOLUME, "size": "1GiB"}, "mutually exclusive", ""),
        ({"volume": VOLUME, "state": "mounted"}, "value of state must be one of", ""),
        ({"volume": VOLUME, "state": "filled"}, "tree", ""),
        ({"layout": {"map": "gpt"}}, "could not lay out the disk", "isn't one that this module returned"),
        ({"size": "10MiB", "partitions": {"root": {"size": "1GiB"}}}, "could not lay out the disk", "larger than"),
        ({**DESCRIPTION, "state": "prepared"}, "could not prepare the disk", "its partition map is nonexistent"),
        ({**DESCRIPTION, "path": "/no/such/folder/disk"}, "could not lay out the disk", "there is no folder"),
        ({**DESCRIPTION, "state": "filled", "tree": "/no/tree"}, "could not write the tree", "there is no folder"),
    ],
)
def test_bad_input_is_refused_before_anything_is_touched(
    run: Run, tmp_path: Path, options: dict[str, Any], message: str, words: str
) -> None:
    result = run(**options)
    assert result["failed"] is True
    assert message in result["msg"]
    assert words in json.dumps(result)
    assert list(tmp_path.iterdir()) == []
