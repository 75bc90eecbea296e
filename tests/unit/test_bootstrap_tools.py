# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines, progress and configuration of the bootstrap tools and of apt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debfleet.common.bootstrap import apt, debootstrap, image, indices, mmdebstrap, resolve, status, tree
from debfleet.common.bootstrap import variant as variant_
from debfleet.common.bootstrap.apt import Apt
from debfleet.common.bootstrap.image import ImageApt
from debfleet.common.bootstrap.sources import Source
from debfleet.common.bootstrap.tree import How
from debfleet.common.bootstrap.variant import Tree
from debfleet.common.errors import DebfleetError

TREE = Tree(Path("/t"), "trixie", "amd64", include=("a", "b"), exclude=("c",), components=("main", "contrib"))
MIRROR = Source("http://m.example/debian", "trixie", ("main",), "/k.gpg")


def test_mmdebstraps_command_line() -> None:
    argv = mmdebstrap.argv(TREE, Path("/w/list"), Path("/w/conf"))
    assert argv[-3:] == ["trixie", "/t", "/w/list"]
    assert {"--mode=root", "--variant=essential", "--architectures=amd64", "--include=a,b", "--include=apt"} <= set(
        argv
    )
    assert any("?priority(required),?not(?exact-name(c))" in word for word in argv)
    assert "--variant=minbase" in mmdebstrap.argv(replace(TREE, exclude=()), Path("/l"), Path("/c"))
    assert "--include=" not in " ".join(mmdebstrap.argv(replace(TREE, include=(), exclude=()), Path("/l"), Path("/c")))


@pytest.mark.parametrize(
    ("how", "has", "lacks"),
    [
        ({}, ["--keyring=/k.gpg"], ["--no-check-gpg", "--force-check-gpg"]),
        ({"check": False}, ["--no-check-gpg"], ["--keyring=/k.gpg", "--force-check-gpg"]),
        ({"force_check": True}, ["--keyring=/k.gpg", "--force-check-gpg"], ["--no-check-gpg"]),
    ],
)
def test_debootstraps_command_line(how: dict[str, bool], has: list[str], lacks: list[str]) -> None:
    argv = debootstrap.argv(TREE, MIRROR, **how)
    assert argv[-3:] == ["trixie", "/t", "http://m.example/debian"]
    assert {
        "--arch=amd64",
        "--variant=minbase",
        "--include=a,b",
        "--exclude=c",
        "--components=main,contrib",
        *has,
    } <= set(argv)
    assert not set(lacks) & set(argv)


def test_mmdebstraps_progress() -> None:
    progress = mmdebstrap.Progress()
    lines = {
        "I: extracting archives...": "extracting archives",
        "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.": "",
        "Get:1 http://m trixie/main amd64 base-files amd64 13 [7 kB]": "getting base-files",
        "Unpacking perl:amd64 (5) ...": "unpacking perl",
        "Setting up perl:amd64 (5) ...": "setting up perl",
        "Reading package lists...": "",
    }
    assert {line: progress.step(line) for line in lines} == lines
    assert (progress.done, progress.total) == (3, 6)


def test_debootstraps_progress() -> None:
    progress = debootstrap.Progress()
    for line in ("I: Retrieving InRelease", "I: Retrieving Packages", "I: Retrieving perl 5", "noise"):
        progress.step(line)
    assert (progress.got, progress.done) == (1, 0)
    assert progress.step("I: Unpacking the base system...") == "unpacking the base system"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("pmstatus:perl:45.5:Unpacking perl (amd64)\n", ("unpacking perl (amd64)", 45.5)),
        ("dlstatus:3:12.5:Retrieving file 3 of 20", ("retrieving file 3 of 20", 12.5)),
        ("pmstatus:perl:145:Installed", ("installed", 100.0)),
        ("pmstatus:perl:x:Installed", None),
        ("pmerror:perl:4:bad", None),
        ("", None),
    ],
)
def test_apts_status(line: str, told: tuple[str, float] | None) -> None:
    assert status.parse_status(line) == told


@given(st.text())
def test_any_status_line_is_taken(line: str) -> None:
    told = status.parse_status(line)
    assert told is None or 0 <= told[1] <= 100


def test_apt_reads_nothing_of_the_builder() -> None:
    own = Apt(Path("/w/apt"), "arm64", "trixie", ("deb http://x one main",), ("Acquire::Retries 9;",), own=True)
    text = apt.configuration(own, Path("/t"))
    assert '"/t/var/lib/dpkg/status"' in text and '"/w/apt/lists"' in text and 'Dir "/t";' in text
    assert "auth.conf" in text and text.rstrip().endswith("Acquire::Retries 9;")
    other = apt.configuration(replace(own, own=False), None)
    assert "/etc/" not in other and "/w/apt/preferences.d" in other


def test_apt_is_found_again(tmp_path: Path) -> None:
    with pytest.raises(DebfleetError, match="not set up"):
        Apt.load(tmp_path)
    made = Apt(apt.folder_of(tmp_path), "amd64", "trixie", ("deb a b c",), ("x",), True, True)
    made.save()
    assert Apt.load(tmp_path) == made


def test_why_an_installation_failed() -> None:
    said = "Created symlink.\nno luck\ndpkg: error processing package x (--configure):\n exit status 7\n"
    said += "E: Sub-process env returned 1"
    assert status.reasons(said).splitlines()[1:] == [
        "no luck",
        "dpkg: error processing package x (--configure):",
        " exit status 7",
    ]
    assert status.reasons("Reading\nE: Unable to locate package x\n") == "E: Unable to locate package x"


def test_the_archives_sources_without_the_further_ones() -> None:
    lines = (
        "deb http://m/debian trixie main",
        "deb http://m/debian trixie-updates main",
        "deb http://s/guard trixie-security main",
        "deb http://other trixie main",
        "deb http://m/debian trixie-backports main",
    )
    assert tree.archive_lines(TREE, Apt(Path("/w"), "amd64", "trixie", lines)) == list(lines[:3])


def test_a_tarballs_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "cache_folder", lambda: tmp_path)
    kept = tree._tarball(How(tarball=True), "d" * 64)
    assert kept is not None and kept.parent == tmp_path / "bootstrap" and kept.name.startswith("d" * 32 + ".tar.")
    assert tree._tarball(How(tarball="/x/y.tar.gz"), "d") == Path("/x/y.tar.gz")
    assert tree._tarball(How(tarball=False), "d") is tree._tarball(How(), "d") is None


def test_what_a_tree_depends_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "version", lambda _tool: "1")
    (tmp_path / "lists").mkdir()
    release = tmp_path / "lists/x_InRelease"
    release.write_text("monday")
    made = Apt(tmp_path, "amd64", "trixie", ("deb a b c",))
    first = tree.digest(TREE, How(), made)
    assert tree.digest(replace(TREE, root=Path("/elsewhere")), How(), made) == first
    others = {
        tree.digest(replace(TREE, include=("a",)), How(), made),
        tree.digest(TREE, How("debootstrap"), made),
        tree.digest(TREE, How(), replace(made, sources=("deb a b d",))),
    }
    release.write_text("tuesday")
    others.add(tree.digest(TREE, How(), made))
    assert first not in others and len(others) == 4


def test_the_images_sources(tmp_path: Path) -> None:
    (tmp_path / "usr/share/keyrings").mkdir(parents=True)
    (tmp_path / "usr/share/keyrings/debian-archive-keyring.gpg").touch()
    main = Source("http://m", "one", ("main",))
    sources = (main, replace(main, suite="one-updates"), Source("http://s", "one-security", ("main",)))
    text = image.archive(tmp_path, sources, ("one-security",), True)
    assert "Suites: one\n" in text and "Suites: one-security\n" in text and "one-updates" not in text
    assert (
        text.count("Types: deb deb-src\n")
        == text.count("Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n")
        == 2
    )


def test_keys_are_named_by_what_is_in_them(tmp_path: Path) -> None:
    key = tmp_path / "my.key"
    for content, name in ((b"-----BEGIN PGP PUBLIC KEY BLOCK-----", "my.asc"), (b"\x99\x01", "my.gpg")):
        key.write_bytes(content)
        assert image.key_name(key) == name
    for content, why in ((b"\0" * 8 + b"KBXf", "keybox"), (b"", "empty")):
        key.write_bytes(content)
        with pytest.raises(DebfleetError, match=why):
            image.key_name(key)
    with pytest.raises(DebfleetError, match="could not read the key"):
        image.key_name(tmp_path / "none")


def test_a_line_that_is_no_source_names_its_place() -> None:
    with pytest.raises(DebfleetError) as caught:
        ImageApt.of({"sources": {"x": ["deb http://a one main", "deb nonsense"]}}).repositories()
    assert caught.value.where == "packages.sources.x[1]"


def test_the_mirror_is_filled_in_where_the_manifest_has_none() -> None:
    declared = ImageApt.of({"sources": {"x": ["deb {apt_mirror} one main"]}})
    (source,) = declared.with_mirror("http://m.example/debian").repositories()
    assert source.line() == "deb http://m.example/debian one main"


def test_scrubbing(tmp_path: Path) -> None:
    for name in (
        "etc/resolv.conf",
        "var/lib/apt/lists/a/b",
        "run/x",
        "etc/apt/apt.conf.d/99mmdebstrap",
        "etc/machine-id",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for name in ("run/lock", "var/lib/apt/lists/partial", "tmp/deep/er"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tmp/link").symlink_to("/etc")
    image.scrub(tmp_path)
    left = {
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir() or not any(path.iterdir())
    }
    assert left == {"etc/machine-id", "run/lock", "var/lib/apt/lists/partial", "tmp", "etc/apt/apt.conf.d"}
    assert (tmp_path / "etc/machine-id").read_bytes() == b""


def test_what_apt_could_not_get_is_explained() -> None:
    at = Apt(Path("/nowhere"), "amd64", "one")
    main = Source("http://m", "one", ("main",))
    said = {
        "E: The repository 'http://m one Release' does not have a Release file.": "the suite one is not on",
        "E: Release file for http://m/dists/one/InRelease is expired (invalid since 3d).": "out of date",
        "Err:1 http://m one/main amd64 Packages\n  File has unexpected size (1 != 2).": "being synchronised",
        "E: Failed to fetch http://m/dists/one/InRelease  Could not resolve 'm'": "could not get one of",
        "E: The repository 'http://m one-updates Release' does not have a Release file.": "could not get one of",
    }
    for line, words in said.items():
        assert words in indices.explain(main, at, line, "main")[0].what, line


def test_similar_names() -> None:
    names = ["openssh-server", "openssh-client", "zsh", "libssh-4"]
    assert resolve.similar("opnssh-server", names) == "openssh-server"
    assert resolve.similar("quite-else", names) == ""


def test_unmet_dependencies_are_all_named() -> None:
    said = """The following packages have unmet dependencies:
 one : Depends: nowhere but it is not installable
       Depends: two (>= 3) but 2 is to be installed
 three : Conflicts: four
E: Unable to correct problems, you have held broken packages.
"""
    assert [problem.what for problem in resolve.unmet(said)] == [
        "one can't be installed", "one can't be installed", "three can't be installed",
    ]  # fmt: skip
    assert "held broken" in resolve.unmet("E: held broken packages")[0].why


@pytest.mark.parametrize(
    ("variant", "count"), [("minbase", 3), ("essential", 1), ("custom", 0), ("buildd", 4), ("standard", 5)]
)
def test_what_a_variant_has(variant: str, count: int) -> None:
    assert len(variant_.base_set(replace(TREE, variant=variant))) == count
