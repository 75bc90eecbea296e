# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs inside of files, and in times, told beside a comparison where it is asked for."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import jsonschema
import pytest
from inspect_tree import make, put

from debfleet import cli
from debfleet.common.compare import compare, content
from debfleet.common.errors import MissingError

DIFFOSCOPE = '#!/bin/sh\necho "$@" && diff -r -U0 a b\n'


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    a, b = make(tmp_path / "a"), tmp_path / "b"
    for name in ("first", "second", "third"):
        put(a, f"usr/share/{name}", f"{name} as it was\n")
    shutil.copytree(a, b, symlinks=True)
    return a, b


@pytest.fixture
def diffoscope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name, whether the real one is here or not."""
    program = tmp_path / "bin/diffoscope"
    program.parent.mkdir()
    program.write_text(DIFFOSCOPE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.mark.usefixtures("diffoscope")
def test_only_what_differs_is_looked_into(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        path = pair[1] / "usr/share" / name
        stat = path.stat()
        path.write_text(f"{name} as it is\n")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.utime(pair[0] / "usr/share/third", (1, 1))
    os.utime(pair[1] / "usr/share/third", (86400, 86400))
    told = compare(*pair, into=True).content
    assert told
    assert "1 file of another time:\n  /usr/share/third  1970-01-01 00:00:01 → 1970-01-02 00:00:00\n" in told
    assert "-first as it was\n+first as it is" in told and "-second as it was\n+second as it is" in told
    assert "looked into" not in told
    monkeypatch.setattr(content, "MOST", 1)
    told = compare(*pair, into=True).content
    assert told and "looked into 1 of 2 files" in told and "second" not in told


@pytest.mark.usefixtures("diffoscope")
def test_nothing_inside_of_files(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(*pair, into=True).content == content.NOTHING
    assert compare(*pair).content is None
    assert cli.main(["image", "diff", "--content", *map(str, pair)]) == 0
    assert content.NOTHING in capsys.readouterr().out
    schema = json.loads((Path(__file__).parents[2] / "schemas/image-diff.json").read_text())
    for words in (["--content"], []):
        assert cli.main(["image", "diff", "--json", *words, *map(str, pair)]) == 0
        told = json.loads(capsys.readouterr().out)
        jsonschema.validate(told, schema)
        assert ("content" in told) == bool(words)


def test_without_diffoscope(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(program: str, package: str = "") -> str:
        raise MissingError(f"{program} is not installed", hint=package)

    monkeypatch.setattr(content, "find", missing)
    with pytest.raises(MissingError, match="diffoscope is not installed"):
        compare(*pair, into=True)
