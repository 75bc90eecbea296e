# SPDX-License-Identifier: GPL-3.0-or-later
"""How programs of another architecture are run: which way, by which line, with which tools."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from debfleet.common.architectures import TABLE, architecture
from debfleet.common.binfmt import elf, enter, programs, registration
from debfleet.common.binfmt.programs import NATIVE, NATIVELY, Programs
from debfleet.common.binfmt.registration import Registered
from debfleet.common.bootstrap import mmdebstrap
from debfleet.common.errors import DebfleetError, MissingError
from debfleet.common.foreign import decide, layout, native, table, tools, versions
from debfleet.controller import foreign

ARMHF, AMD64 = architecture("armhf"), architecture("amd64")
OURS = Registered("ours", "/usr/lib/debfleet/dispatcher-qemu-arm", "PF")
QEMU = Registered("qemu-arm", "/usr/libexec/qemu-binfmt/arm-binfmt-P", "POF")
FIXED_NOT = Registered("qemu-arm", "/usr/bin/qemu-arm", "")


@pytest.mark.parametrize(
    ("wanted", "private", "has", "is_private", "tools_taken", "told"),
    [
        ("auto", "", None, True, True, "native tools"),
        ("auto", "", QEMU, True, True, "of the build's own"),
        ("auto", "no", OURS, False, True, "native tools, by this machine's registration ours"),
        ("auto", "no", QEMU, False, False, "all emulated, by this machine's registration qemu-arm"),
        ("private", "", QEMU, True, True, "native tools"),
        ("host", "", OURS, False, True, "this machine's"),
        ("host", "", QEMU, False, False, "all emulated"),
        ("emulated", "", None, True, False, "emulated"),
        ("emulated", "no", QEMU, False, False, "emulated by this machine's"),
        ("emulated", "", OURS, True, False, "of the build's own"),
    ],
)
def test_the_best_way_that_is_there(
    wanted: str, private: str, has: Registered | None, is_private: bool, tools_taken: bool, told: str
) -> None:
    way = decide.choose(wanted, private, has, ARMHF)
    assert (way.private, way.takes_tools) == (is_private, tools_taken) and told in way.told


@pytest.mark.parametrize(
    ("wanted", "private", "has", "why"),
    [
        ("auto", "too old", None, "of the build's own: too old\nthis machine has no interpreter registered"),
        ("auto", "too old", FIXED_NOT, "lacks the flag F"),
        ("private", "too old", OURS, "too old"),
        ("host", "", None, "no interpreter registered"),
        ("emulated", "too old", OURS, "too old"),
    ],
)
def test_no_way_is_an_error_that_says_why(wanted: str, private: str, has: Registered | None, why: str) -> None:
    with pytest.raises(MissingError) as error:
        decide.choose(wanted, private, has, ARMHF)
    assert why in error.value.why and "armhf" in str(error.value) and "qemu-user-static" in error.value.hint


def header(name: str) -> bytes:
    """The first bytes of a program of an architecture."""
    return architecture(name).elf_magic()[0]


def test_registrations_of_the_machine(tmp_path: Path) -> None:
    magic, mask = (part.hex() for part in ARMHF.elf_magic())
    text = f"enabled\ninterpreter /usr/bin/q arm\nflags: POF\noffset 0\nmagic {magic}\nmask {mask}\n"
    assert registration.parse("q", text, ARMHF) == Registered("q", "/usr/bin/q arm", "POF")
    assert registration.parse("q", text, architecture("arm64")) is None
    assert registration.parse("q", text.replace("enabled", "disabled"), ARMHF) is None
    assert registration.parse("q", "enabled\ninterpreter /x\nflags: \noffset 0\nmagic 7f45\n", ARMHF) is None
    assert registration.parse("q", text.replace(magic, "xyz"), ARMHF) is None
    assert registration.parse("jar", "enabled\ninterpreter /x\nflags: \nextension .jar\n", ARMHF) is None
    assert registration.registered(ARMHF, tmp_path / "none") is None
    (tmp_path / "status").write_text("enabled\n")
    (tmp_path / "first").write_text(text)
    time.sleep(0.02)
    (tmp_path / "second").write_text(text.replace("POF", "P"))
    found = registration.registered(ARMHF, tmp_path)
    assert found and (found.name, found.reaches_trees) == ("second", False)


def test_the_line_is_one_that_the_kernel_reads() -> None:
    for row in TABLE.values():
        words = registration.line(row, "/a/dispatcher").split(":")
        assert words[:4] == ["", "debfleet", "M", ""] and words[6:] == ["/a/dispatcher", "PF"]
        magic, mask = (bytes.fromhex(word.replace("\\x", "")) for word in words[4:6])
        assert (magic, mask) == row.elf_magic() and len(registration.line(row, "/" * 200)) < 1920


def tree(root: Path, name: str, loader: str = "") -> Path:
    """A tree whose dpkg is of an architecture."""
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/dpkg").write_bytes(header(name) + bytes(44))
    if loader:
        (root / loader.lstrip("/")).parent.mkdir(parents=True)
        (root / loader.lstrip("/")).touch()
    return root


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_tree_tells_its_architecture(tmp_path: Path, name: str) -> None:
    found = elf.architecture_of(tree(tmp_path, name, architecture(name).interpreter))
    assert found and found.name == name


def test_a_tree_without_programs_has_none(tmp_path: Path) -> None:
    assert elf.architecture_of(tmp_path) is None and programs.of(tmp_path) == NATIVELY
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/dpkg").symlink_to("/bin/sh")
    (tmp_path / "usr/bin/env").write_text("#!/bin/sh\n")
    assert elf.architecture_of(tmp_path) is None


def test_what_a_build_decided_holds_for_its_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "host_row", lambda: AMD64)
    root = tree(tmp_path / "root", "armhf", ARMHF.interpreter)
    build = tmp_path / "build"
    build.mkdir()
    wanted = Programs("armhf", ":line:", {"/tools": NATIVE})
    wanted.save(build)
    monkeypatch.setenv("DEBFLEET_BUILD", str(build))
    assert programs.of(root) == wanted
    assert programs.of(root).entering() == enter.words(":line:") == programs.of(root).registering()
    monkeypatch.delenv("DEBFLEET_BUILD")
    assert programs.of(root).binds == {}  # emulated, for it is of no build
    (tmp_path / "root.work").mkdir()
    wanted.save(tmp_path / "root.work")
    assert programs.of(root) == wanted
    Programs("arm64", ":other:").save(tmp_path / "root.work")
    assert programs.of(root).line != ":other:"
    monkeypatch.setattr(programs, "host_row", lambda: ARMHF)
    assert programs.of(root) == NATIVELY and not NATIVELY.registering()


def test_an_emulator_that_needs_libraries_is_of_no_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "SEARCH", f"{tmp_path}:{tmp_path}/none")
    assert programs.find(ARMHF) is None
    (tmp_path / "qemu-arm").write_bytes(Path("/bin/true").read_bytes())
    assert programs.find(ARMHF) is None
    (tmp_path / "qemu-arm").write_bytes(b"\x7fELF")
    assert programs.find(ARMHF) is None


def test_versions_count_by_their_source() -> None:
    assert versions.same("1.2-3+b4", "1.2-3") and versions.same("1.2-3+b4", "1.2-3+b5")
    assert not versions.same("1.2-3+deb12u1", "1.2-3") and not versions.same("1:1.2", "1.2")
    have = {"sed": "4.9-1", "patch": "2-1+b1", "zstd": "1"}
    assert versions.compare(have, {"sed": "4.9-1+b2", "patch": "2-1", "mawk": "9"}) == versions.Verdict({})
    verdict = versions.compare(have, {"sed": "4.9-1", "patch": "3-1"})
    assert verdict.refused == {"patch": "2-1+b1, the image has 3-1"} and not verdict.whole
    assert versions.compare(have, {"sed": "4.8-1"}).whole
    assert versions.covers(have, {"sed": "4.9-1", "mawk": "7"}) and not versions.covers(have, {"sed": "5"})


def test_a_perl_without_its_modules_is_refused() -> None:
    have = {"perl-base": "5.36", "perl": "5.36", "libtext-iconv-perl": "1", "sed": "4"}
    verdict = versions.compare(have, {**have, "libtext-iconv-perl": "2"})
    assert set(verdict.refused) == {"libtext-iconv-perl", "perl", "perl-base"} and not verdict.whole


def test_what_a_machine_lacks_is_told_before_anything_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "host_row", lambda: AMD64)
    manifest = {"system": {"architecture": "armhf"}, "bootstrapper": {"tool": "mmdebstrap"}}
    own = {**manifest, "system": {"architecture": "i386"}}
    monkeypatch.setattr(programs, "SEARCH", str(tmp_path))
    foreign.require(own, "auto")
    with pytest.raises(MissingError) as missing:
        foreign.require(manifest, "auto")
    assert "qemu-arm" in missing.value.what and "apt-get install qemu-user-static" in missing.value.hint
    monkeypatch.setattr(programs, "find", lambda _row: tmp_path / "qemu-arm")
    foreign.require(manifest, "auto")
    with pytest.raises(DebfleetError) as wrong:
        foreign.require(manifest, "fast")
    assert "auto, private, host, emulated" in wrong.value.what
    other = {**manifest, "bootstrapper": {"tool": "debootstrap"}}
    with pytest.raises(DebfleetError) as refused:
        foreign.require(other, "auto")
    assert refused.value.where == "bootstrapper.tool" and "mmdebstrap" in refused.value.hint
    foreign.require(other, "host")


def test_no_compiler_is_ever_a_tool() -> None:
    taken = {*table.PACKAGES, *table.PERL_MODULES, *table.PYTHON}
    assert not any(word in name for name in taken for word in ("gcc", "g++", "binutils", "clang", "cpp"))
    assert set(table.ESSENTIAL) <= taken and table.EMULATED.isdisjoint(table.DPKG)


def test_paths_are_replaced_by_ones_that_are_as_long() -> None:
    for old, new in native.replacements(AMD64).items():
        assert len(old) == len(new) and new.startswith(NATIVE.encode() + b"/")
    patch = native.patcher(native.replacements(AMD64))
    before = b"\0/lib64/ld-linux-x86-64.so.2\0/usr/lib/x86_64-linux-gnu/systemd\0/usr/lib/systemd\0"
    after = patch(before)
    assert len(after) == len(before) and after.endswith(b"lib/systemd\0/usr/lib/systemd\0")
    assert b"/ld.so\0" in after and b"x86" not in after
    with pytest.raises(DebfleetError):
        native.replacements(architecture("ppc64el"))


def test_dpkg_says_the_other_architecture_where_its_name_has_room() -> None:
    assert native.patched_dpkg(b"\0amd64\0x", "amd64", "armhf") == b"\0armhf\0x"
    assert native.patched_dpkg(b"\0amd64\0x", "amd64", "i386") == b"\0i386\0\0x"
    assert native.patched_dpkg(b"\0amd64\0x", "amd64", "riscv64") is None


def test_what_is_laid_out_for_a_build(tmp_path: Path) -> None:
    have = {
        "usr/bin/sed": "sed", "usr/bin/patch": "patch", "usr/bin/dpkg": "dpkg", "usr/bin/perl": "perl-base",
        "usr/bin/localedef": "libc-bin", "lib/glib-2.0/glib-compile-schemas": "libglib2.0-0",
    }  # fmt: skip
    made = tmp_path / "tools"
    (made / "x/usr/bin").mkdir(parents=True)
    (made / "x/usr/bin/dpkg").write_bytes(b"\0amd64\0")
    (tmp_path / "qemu-arm").write_bytes(b"emulator")
    how = {"here": AMD64, "there": ARMHF, "refused": {"patch"}, "emulator": tmp_path / "qemu-arm"}
    assert layout.lay_out(tmp_path / "foreign", made, have, **how) == 5
    shown = tmp_path / "foreign/t/usr"
    assert str((shown / "bin/sed").readlink()) == f"{NATIVE}/x/usr/bin/sed"
    assert not (shown / "bin/patch").is_symlink()
    assert (shown / "bin/dpkg").read_bytes() == b"\0armhf\0"
    rule = (shown / "bin/perl.only").read_text()
    assert rule == f"modules /usr/lib/arm-linux-gnueabihf/perl5 {NATIVE}/lib/perl5\n"
    beside = shown / "lib/arm-linux-gnueabihf/glib-2.0/glib-compile-schemas"
    assert str(beside.readlink()) == f"{NATIVE}/lib/glib-2.0/glib-compile-schemas"
    assert (tmp_path / "foreign/qemu").read_bytes() == b"emulator"
    other = {**how, "there": architecture("s390x"), "refused": set()}
    layout.lay_out(tmp_path / "foreign", made, have, **other)
    assert not (shown / "bin/localedef").is_symlink() and (shown / "bin/patch").is_symlink()
    assert not (shown / "lib/s390x-linux-gnu").exists()
    layout.lay_out(tmp_path / "foreign", made, have, **{**other, "there": architecture("riscv64")})
    assert not (shown / "bin/dpkg").exists() and (shown / "bin/localedef").is_symlink()


def test_what_binds_tools_around_the_bootstrap() -> None:
    texts = mmdebstrap.hooks({"/a b": NATIVE, "/c": f"{NATIVE}/a"})
    assert texts[mmdebstrap.BIND].splitlines()[1:3] == [
        f'mkdir -p "$1{NATIVE}"', f"mount --bind '/a b' \"$1{NATIVE}\""
    ]  # fmt: skip
    assert texts[mmdebstrap.UNBIND].splitlines()[1:] == [
        f'umount "$1{NATIVE}/a"', f'umount "$1{NATIVE}"', f'rmdir "$1{NATIVE}"'
    ]  # fmt: skip


class Trees:
    """The cache of tools, where making one takes no time."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        monkeypatch.setenv("DEBFLEET_CACHE", str(folder))
        monkeypatch.setattr(tools.native, "make", self._make)

    def _make(self, _files: object, _row: object, into: Path) -> native.Made:
        into.mkdir()
        self.made += 1
        return native.Made({"usr/bin/sed": "sed"})

    def get(self, version: str) -> tools.Tools:
        """A tree with sed of a version."""
        files = {"sed": Path(f"sed_{version}_amd64.deb"), "libc6": Path("libc6_2_amd64.deb")}
        return tools.make("trixie", AMD64, {"sed": version}, lambda: files)


def test_trees_are_made_once_and_found_by_their_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = Trees(tmp_path, monkeypatch)
    first = trees.get("4.9-1")
    assert trees.get("4.9-1") == first and trees.made == 1 and first.versions == {"sed": "4.9-1"}
    assert tools.find("trixie", AMD64, {"sed": "4.9-1+b1", "mawk": "1"}) == first
    assert tools.find("sid", AMD64, {"sed": "4.9-1"}) is None
    assert tools.find("trixie", ARMHF, {"sed": "4.9-1"}) is None
    assert tools.find("trixie", AMD64, {"sed": "5"}) is None
    assert trees.get("5").folder != first.folder and trees.made == 2
    (first.folder / tools.NOTE).write_text("{")
    assert tools.find("trixie", AMD64, {"sed": "4.9-1"}) is None
    assert trees.get("4.9-1") == first and trees.made == 3
    monkeypatch.setattr(tools, "code", lambda: "other")
    assert tools.find("trixie", AMD64, {"sed": "5"}) is None


def test_who_wants_the_same_tree_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = Trees(tmp_path, monkeypatch)
    make = trees._make

    def slowly(*words: Any) -> native.Made:
        time.sleep(0.3)
        return make(*words)

    monkeypatch.setattr(tools.native, "make", slowly)
    with ThreadPoolExecutor(4) as several:
        found = list(several.map(trees.get, ["1"] * 4))
    assert trees.made == 1 and len({one.folder for one in found}) == 1


def test_trees_that_nobody_uses_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = Trees(tmp_path, monkeypatch)
    made = [trees.get(str(number)) for number in range(8)]
    assert tools.evict() == []  # a build may be using them
    week = time.time() - 7 * 86400
    for number, one in enumerate(made):
        os.utime(one.folder / tools.NOTE, (week + number, week + number))
    assert {path.name for path in tools.evict()} == {one.folder.name for one in made[:2]}
    monkeypatch.setenv("DEBFLEET_CACHE_DAYS", "3")
    assert len(tools.evict(spare=made[7].folder)) == 5 and made[7].folder.exists()
    half = tools.folder() / ".1-half"
    half.mkdir()
    os.utime(half, (week, week))
    tools.evict()
    assert not half.exists()


def test_what_failed_leaves_no_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Trees(tmp_path, monkeypatch)

    def fail() -> dict[str, Path]:
        raise DebfleetError("no network")

    with pytest.raises(DebfleetError):
        tools.make("trixie", AMD64, {"sed": "1"}, fail)
    assert [path.name for path in tools.folder().iterdir()] == ["locks"]


def test_the_note_of_a_tree_is_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Trees(tmp_path, monkeypatch).get("1")
    written = json.loads((found.folder / tools.NOTE).read_text())
    assert written["schema_version"] == 1 and written["programs"] == {"usr/bin/sed": "sed"}
