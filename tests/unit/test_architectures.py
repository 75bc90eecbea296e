# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of architectures: whole, without contradictions, and the only place that tells one from another."""

from __future__ import annotations

import json
import re
import struct
import sys
from pathlib import Path

import pytest

from debfleet.common.architectures import TABLE, Architecture, architecture, host, names
from debfleet.common.errors import DebfleetError

ROWS = pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)


def test_the_schema_knows_the_same(repo: Path) -> None:
    schema = json.loads((repo / "schemas/manifest.json").read_text(encoding="utf-8"))
    assert set(schema["properties"]["system"]["properties"]["architecture"]["enum"]) == set(TABLE)


def test_no_name_means_two() -> None:
    meant: dict[str, set[str]] = {}
    for row in TABLE.values():
        for name in (row.name, *row.uname, *row.aliases):
            meant.setdefault(name, set()).add(row.name)
    assert {name: rows for name, rows in meant.items() if len(rows) > 1} == {}
    assert (names()["arm"], names()["aarch64"], names()["armel"]) == ("armhf", "arm64", "armel")


@pytest.mark.parametrize(("name", "wanted"), [("arm", "armhf"), ("ppc64le", "ppc64el"), ("x64", "amd64")])
def test_found_by_any_name(name: str, wanted: str) -> None:
    assert architecture(name).name == wanted


def test_an_unknown_one_is_told_with_those_that_there_are() -> None:
    with pytest.raises(DebfleetError, match="there is no architecture vax") as caught:
        architecture("vax")
    assert "amd64, i386, arm64" in caught.value.hint


@ROWS
def test_machine_types(row: Architecture) -> None:
    assert row.machine_type(None) is row.machine
    assert all(row.machine_type(one.name) is one for one in row.machine_types)
    assert row.machine_type("apple2") is None
    if row.bios:
        assert "bios" in row.firmware


@ROWS
def test_magic(row: Architecture) -> None:
    """Programs of the architecture are told from others, whether of type 2 or 3, and whatever their ABI."""
    magic, mask = row.elf_magic()

    def matches(header: bytes) -> bool:
        return all(a & m == b & m for a, b, m in zip(header, magic, mask, strict=True))

    def header(of: Architecture, kind: int, abi: int) -> bytes:
        order = ">" if of.big_endian else "<"
        ident = b"\x7fELF" + bytes([of.bits // 32, 2 if of.big_endian else 1, 1, abi]) + bytes(8)
        return ident + struct.pack(order + "HH", kind, of.elf_machine)

    assert len(magic) == len(mask) == 20
    for kind, abi in ((2, 0), (3, 0), (3, 3)):
        assert matches(header(row, kind, abi))
        assert not any(matches(header(other, kind, abi)) for other in TABLE.values()
                       if (other.elf_machine, other.bits) != (row.elf_machine, row.bits))  # fmt: skip
    assert not matches(header(row, 1, 0))  # an object file


def test_magic_of_a_real_program() -> None:
    magic, mask = host().elf_magic()
    with Path(sys.executable).open("rb") as file:
        first = file.read(20)
    assert bytes(a & m for a, m in zip(first, mask, strict=True)) == bytes(
        a & m for a, m in zip(magic, mask, strict=True)
    )


def test_nothing_else_tells_architectures_apart_by_name(repo: Path) -> None:
    """Code names no architecture: what differs is a column of the table. Samples in a module's documentation may."""
    quoted = re.compile(r"""["'](?:{})["']""".format("|".join(map(re.escape, names()))))
    found = []
    for folder in ("module_utils", "library", "src", "action_plugins", "filter_plugins", "callback_plugins",
                   "connection_plugins"):  # fmt: skip
        for path in sorted((repo / folder).rglob("*.py")):
            if path.parent.name == "architectures" or "common" in path.relative_to(repo).parts:
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if quoted.search(line) and not line.lstrip().startswith("sample: "):
                    found.append(f"{path.relative_to(repo)}:{number}: {line.strip()}")
    assert found == []
