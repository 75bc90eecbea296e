# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of what a folder of builds holds: finished, broken, failed, running and left ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from debfleet import cli
from debfleet.common.errors import DebfleetError
from debfleet.common.folder import listing
from debfleet.common.folder.metadata import sha256
from debfleet.common.ledger import Ledger
from debfleet.common.process import Process

DATA = b"an image" * 1000


def image(folder: Path, name: str, **told: Any) -> Path:
    """A finished image as a build leaves it, as far as the list looks at it."""
    path = folder / name
    path.mkdir(parents=True)
    (path / "disk.raw").write_bytes(DATA)
    metadata = {
        "name": name,
        "file": "disk.raw",
        "format": "raw",
        "sha256": sha256(path / "disk.raw"),
        "sizes": {"virtual": 1 << 30, "allocated": 8192, "file": len(DATA)},
        "release": "trixie",
        "architecture": "amd64",
        "built": "2026-11-24T22:00:30Z",
        "seconds": {"preparation": 4.25, "os_installation": 20},
        "debfleet": "0.1.0",
    }
    (path / "metadata.json").write_text(json.dumps({**metadata, **told}))
    for name_ in ("manifest.json", "packages.json", "SHA256SUMS"):
        (path / name_).write_text("{}")
    (path / "build.log").write_text(
        "12:00:00 + true\n12:00:00 = exit 0\n12:00:01 /x/disk.raw: clean\n12:00:02 # more\n"
    )
    return path


def prove(path: Path, digest: str | None = None) -> None:
    digest = digest or json.loads((path / "metadata.json").read_text())["sha256"]
    (path / "proof.json").write_text(json.dumps({"sha256": digest, "boots": [{"firmware": "bios"}]}))


def only(folder: Path, **how: bool) -> listing.Build:
    (found,) = listing.builds(folder, **how)
    return found


def test_a_finished_image(tmp_path: Path) -> None:
    prove(image(tmp_path, "good"))
    found = only(tmp_path)
    assert (found.state, found.proof, found.firmware) == ("ok", "yes", ("bios",))
    assert (found.seconds, found.inspection, found.problems) == (24.2, "clean", ())
    assert only(tmp_path, verify=True).state == "ok"
    head, line = listing.to_text([found]).splitlines()
    assert head.split()[:3] == ["name", "release", "arch"]
    assert line.split() == (
        ["good", "trixie", "amd64", "raw", "8", "KiB", "1", "GiB", "2026-11-24", "22:00", "24", "s", "yes", "(bios)"]
        + ["clean", "0.1.0"]
    )


def test_a_proof_of_other_bytes_is_none_of_these(tmp_path: Path) -> None:
    path = image(tmp_path, "rebuilt")
    assert only(tmp_path).proof == "no"
    prove(path, "0" * 64)
    assert only(tmp_path).proof == "of other bytes"


def test_changed_bytes(tmp_path: Path) -> None:
    path = image(tmp_path, "changed")
    (path / "disk.raw").write_bytes(DATA[:-1] + b"E")
    assert only(tmp_path).state == "ok", "of the same size: nobody has looked"
    assert only(tmp_path, verify=True).problems == ("disk.raw has other bytes than it had when it was built",)
    (path / "disk.raw").write_bytes(b"short")
    assert only(tmp_path).problems == ("disk.raw has 5 bytes, and had 8000 when it was built",)


@pytest.mark.parametrize(
    ("lost", "problem"),
    [
        ("metadata.json", "it has no metadata.json: no build made it"),
        ("disk.raw", "its image is missing: disk.raw"),
        ("SHA256SUMS", "SHA256SUMS is missing"),
    ],
)
def test_what_is_lost_is_told(tmp_path: Path, lost: str, problem: str) -> None:
    (image(tmp_path, "lossy") / lost).unlink()
    found = only(tmp_path)
    assert found.state == "broken"
    assert problem in found.problems
    assert f"  broken: {problem}" in listing.to_text([found]).splitlines()


@pytest.mark.parametrize("file", ["metadata.json", "proof.json"])
@pytest.mark.parametrize("text", ["{", "[]", "\udcff"])
def test_what_is_no_json_is_told(tmp_path: Path, file: str, text: str) -> None:
    (image(tmp_path, "garbled") / file).write_text(text, errors="surrogateescape")
    found = only(tmp_path)
    assert found.state == "broken"
    assert any(file in problem for problem in found.problems)


def test_a_failed_build_tells_its_last_words(tmp_path: Path) -> None:
    log = "12:00:00 + true\n12:00:00 = exit 0 after 0.01 s\n12:00:01 + sh -c 'exit 3'\n12:00:01 | oh no\n"
    (tmp_path / "bad.failed.log").write_text(log + "12:00:01 = exit 3 after 0.02 s\n")
    found = only(tmp_path)
    assert (found.name, found.state) == ("bad", "failed")
    assert found.problems == ("sh -c 'exit 3': exit 3", "oh no")
    (tmp_path / "bad.failed.log").write_text("12:00:00 # the end\n")
    assert only(tmp_path).problems == ("# the end",)
    (tmp_path / "bad.failed.log").write_text("")
    assert only(tmp_path).problems == ()


def test_a_build_that_runs_and_one_that_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("debfleet.common.ledger.state_folder", lambda: tmp_path / "state")
    builds = tmp_path / "build"
    for name, owner in (("runs", Process.of(os.getpid())), ("killed", Process(2**22 + 1, 1))):
        work = builds / f".{name}-0123abcd"
        work.mkdir(parents=True)
        (work / "ledger").write_text(str(Ledger.open(name, owner).path))
    (builds / ".bench").mkdir()
    assert [(one.name, one.state) for one in listing.builds(builds)] == [("killed", "left"), ("runs", "building")]


def test_at_the_prompt(tmp_path: Path, repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image(tmp_path, "b")
    assert cli.main(["image", "list", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    (tmp_path / "stray").mkdir()
    (tmp_path / "a.failed.log").write_text("")
    assert cli.main(["image", "list", "--json", str(tmp_path)]) == 1
    told = json.loads(capsys.readouterr().out)
    jsonschema.validate(told, json.loads((repo / "schemas/images.json").read_text()))
    assert [one["state"] for one in told["images"]] == ["failed", "ok", "broken"]


def test_no_folder_and_an_empty_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DebfleetError, match="there is no folder"):
        listing.builds(tmp_path / "none")
    assert cli.main(["image", "list", str(tmp_path)]) == 0
    assert "no images yet" in capsys.readouterr().out
