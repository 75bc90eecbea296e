# SPDX-License-Identifier: GPL-3.0-or-later
"""What shapes an image, and whether one that is there was made of the same."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from debfleet import house
from debfleet.common import manifest as manifests
from debfleet.common.bases.fingerprint import of_parts
from debfleet.controller import inputs, unchanged

TEXT = """\
name: {name}
provider: {{name: kvm}}
volume: {{size: 2GiB, partitions: {{root: {{}}}}}}
plugins:
  root_password: {{password: {password}}}
  file_copy: {{files: [{{src: motd, dst: /etc/motd}}]}}
"""


def shape(folder: Path, *, name: str = "web", password: str = "s3cretword", motd: str = "hello") -> dict[str, str]:
    (folder / "motd").write_text(motd)
    path = folder / "m.yml"
    path.write_text(TEXT.format(name=name, password=password))
    checked = manifests.check(path, role_paths=[house.roles()], schema_dir=house.schemas())
    assert not checked.errors, checked.errors
    return inputs.of_image(checked)


def changed(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


def test_the_same_manifest_has_the_same_shape_though_its_password_is_salted_anew(tmp_path: Path) -> None:
    assert changed(shape(tmp_path), shape(tmp_path)) == set()


def test_each_change_is_named_and_a_name_alone_is_none(tmp_path: Path) -> None:
    before = shape(tmp_path)
    assert changed(before, shape(tmp_path, name="web-20261124")) == set()
    assert changed(before, shape(tmp_path, password="another")) == {"manifest's plugins"}
    assert changed(before, shape(tmp_path, motd="changed")) == {"manifest's files"}


def test_a_role_and_the_time_of_a_reproducible_build_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shape(tmp_path)
    monkeypatch.setattr(inputs.fingerprint, "of_path", lambda path: str(path))
    assert {"roles", "debfleet"} <= changed(before, shape(tmp_path))


def test_no_secret_and_no_hash_of_one_can_be_read_in_it(tmp_path: Path) -> None:
    said = json.dumps(shape(tmp_path))
    assert "s3cretword" not in said and "$6$" not in said


INPUTS = {"manifest": "1", "archive": "2"}


def image(build_dir: Path, name: str, parts: dict[str, str] = INPUTS, **more: Any) -> Path:
    folder = build_dir / name
    folder.mkdir(parents=True)
    (folder / "disk.raw").write_bytes(b"12345")
    written = {
        "file": "disk.raw",
        "sizes": {"file": 5},
        "sha256": "abc",
        "inputs": {"key": of_parts(parts), "parts": parts},
    }
    (folder / "metadata.json").write_text(json.dumps({**written, **more}))
    return folder


def test_the_image_of_this_name_is_found_first_then_one_of_another(tmp_path: Path) -> None:
    other = image(tmp_path, "a-20261123")
    assert unchanged.find(tmp_path, "web", INPUTS) == other
    mine = image(tmp_path, "web")
    assert unchanged.find(tmp_path, "web", INPUTS) == mine
    assert unchanged.find(tmp_path, "web", {**INPUTS, "archive": "3"}) is None
    assert unchanged.find(tmp_path / "nothing", "web", INPUTS) is None


def test_an_image_that_was_cut_or_written_since_is_not_taken(tmp_path: Path) -> None:
    folder = image(tmp_path, "web")
    (folder / "disk.raw").write_bytes(b"1234")
    assert unchanged.find(tmp_path, "web", INPUTS) is None
    (folder / "disk.raw").write_bytes(b"54321")
    os.utime(folder / "disk.raw", (time.time() + 10,) * 2)
    assert unchanged.find(tmp_path, "web", INPUTS) is None
    (folder / "disk.raw").unlink()
    assert unchanged.find(tmp_path, "web", INPUTS) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"inputs": {}}'])
def test_broken_metadata_is_no_image(tmp_path: Path, text: str) -> None:
    folder = image(tmp_path, "web")
    (folder / "metadata.json").write_text(text)
    assert unchanged.find(tmp_path, "web", INPUTS) is None
    assert unchanged.why(folder, INPUTS) == []


def test_why_an_image_is_built_anew(tmp_path: Path) -> None:
    folder = image(tmp_path, "web")
    assert unchanged.why(folder, {**INPUTS, "archive": "3", "new": "4"}) == ["archive", "new"]
    assert unchanged.why(tmp_path / "nothing", INPUTS) == []


def test_a_proof_counts_only_of_these_bytes_and_with_every_check(tmp_path: Path) -> None:
    folder = image(tmp_path, "web")
    assert not unchanged.proven(None) and not unchanged.proven(folder)
    proof: dict[str, Any] = {"sha256": "abc", "checks": [{"name": "token", "ok": True, "seen": ""}]}
    (folder / "proof.json").write_text(json.dumps(proof))
    assert unchanged.proven(folder)
    (folder / "proof.json").write_text(json.dumps({**proof, "sha256": "abd"}))
    assert not unchanged.proven(folder)
    proof["boots"] = [{"checks": [{"name": "token", "ok": False, "seen": ""}]}]
    (folder / "proof.json").write_text(json.dumps(proof))
    assert not unchanged.proven(folder)
