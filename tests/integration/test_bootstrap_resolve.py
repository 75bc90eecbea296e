# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolving against a repository of our own: no network, every way in which something isn't there."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from local_repository import Repository, make_deb

from debfleet.common import journal
from debfleet.common.bootstrap import indices, mirror, nearby
from debfleet.common.bootstrap.image import ImageApt
from debfleet.common.bootstrap.indices import ResolveError
from debfleet.common.bootstrap.prepare import Ready, prepare
from debfleet.common.bootstrap.resolve import Package, resolve
from debfleet.common.bootstrap.variant import Tree


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("debs")
    return {
        "old": make_deb(folder, "fleet-tool", "1.0"),
        "new": make_deb(folder, "fleet-tool", "2.0", fields={"Depends": "fleet-data"}),
        "data": make_deb(folder, "fleet-data", "1.0", fields={"Priority": "standard", "Installed-Size": "7"}),
        "broken": make_deb(folder, "fleet-broken", "1.0", fields={"Depends": "fleet-nowhere (>= 3)"}),
    }


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, debs: dict[str, Path]) -> Iterator[Repository]:
    made = Repository(tmp_path_factory.mktemp("repository"))
    made.make_key()
    made.publish("one", [debs["old"], debs["data"], debs["broken"]])
    made.publish("two", [debs["new"], debs["data"]])
    made.publish("old", [debs["data"]], release={"Valid-Until": "Mon, 02 Nov 2026 00:00:00 UTC"})
    yield made
    made.stop()


def ready(build: Path, repository: Repository, suite: str = "one", **packages: object) -> Ready:
    """apt made ready for a suite of the repository, as the manifest's mirror."""
    declared = {"trusted-keys": [str(repository.key)], **packages}
    wish = mirror.Wish(
        suite,
        components=tuple(packages.get("components", ("main",))),  # type: ignore[arg-type]
        mirror=repository.uri,
        keyring=str(repository.key),
    )
    return prepare(build, wish, str(packages.get("architecture", "amd64")), ImageApt.of(declared))


def tree(suite: str = "one", **how: object) -> Tree:
    return Tree(Path("/"), suite, "amd64", variant="custom", **how)  # type: ignore[arg-type]


def versions(found: list[Package]) -> dict[str, str]:
    return {package.name: package.version for package in found}


def test_sizes_and_dependencies(tmp_path: Path, repository: Repository, debs: dict[str, Path]) -> None:
    found = resolve(ready(tmp_path, repository, "two").apt, tree("two"), {"packages.install": ["fleet-tool"]})
    assert found == [
        Package("fleet-data", "1.0", "all", debs["data"].stat().st_size, 7 * 1024),
        Package("fleet-tool", "2.0", "all", debs["new"].stat().st_size, 4 * 1024),
    ]


TWO = "deb {uri} two main"


@pytest.mark.parametrize(
    ("asked", "pin", "version"),
    [
        ("fleet-tool", None, "2.0"),
        ("fleet-tool", "release n=one", "1.0"),
        ("fleet-tool=1.0", None, "1.0"),
        ("fleet-tool/one", None, "1.0"),
        ("fleet-tool/two", "release n=one", "2.0"),
    ],
)
def test_version_suite_and_pin(
    tmp_path: Path, repository: Repository, asked: str, pin: str | None, version: str
) -> None:
    pins = {"test": [{"package": "fleet-tool", "pin": pin, "pin-priority": 1001}]} if pin else {}
    sources = {"two": [TWO.format(uri=repository.uri)]}
    made = ready(tmp_path, repository, sources=sources, preferences=pins)
    assert versions(resolve(made.apt, tree(), {"packages.install": [asked]}))["fleet-tool"] == version


def test_standard_and_include(tmp_path: Path, repository: Repository) -> None:
    made = ready(tmp_path, repository)
    assert versions(resolve(made.apt, tree(), {}, standard=True)) == {"fleet-data": "1.0"}
    assert versions(resolve(made.apt, tree(include=("fleet-tool",)), {})) == {"fleet-tool": "1.0"}


def test_a_local_file(tmp_path: Path, repository: Repository) -> None:
    deb = make_deb(tmp_path, "fleet-local", "3.0", fields={"Depends": "fleet-data", "Installed-Size": "11"})
    found = resolve(ready(tmp_path, repository).apt, tree(), {"packages.install": [str(deb)]})
    assert versions(found) == {"fleet-data": "1.0", "fleet-local": "3.0"}
    assert (found[1].download_size, found[1].installed_size) == (deb.stat().st_size, 11 * 1024)


def test_all_that_is_unknown_is_named_at_once(tmp_path: Path, repository: Repository) -> None:
    no_deb = tmp_path / "no.deb"
    no_deb.write_text("text")
    wanted = {
        "packages.install": ["fleet-tol", "fleet-tool=9", "fleet-tool/three", "fleet-broken", str(no_deb)],
        "cloud_init": ["/nowhere/x.deb", "fleet-data", "zzz"],
    }
    with pytest.raises(ResolveError) as caught:
        resolve(ready(tmp_path, repository).apt, tree(), wanted)
    said = {(problem.path, problem.what, problem.hint) for problem in caught.value.problems}
    assert said == {
        ("packages.install[0]", "there is no package fleet-tol", "did you mean fleet-tool?"),
        ("packages.install[1]", "fleet-tool has no version 9", ""),
        ("packages.install[2]", "fleet-tool is in no suite three", "packages.sources names further suites"),
        ("", "fleet-broken can't be installed", ""),
        ("packages.install[4]", f"{no_deb} is no Debian package", ""),
        ("cloud_init[0]", "there is no file /nowhere/x.deb", ""),
        ("cloud_init[2]", "there is no package zzz", ""),
    }
    assert "fleet-nowhere" in str(caught.value)


def test_suite_component_and_architecture_are_named(tmp_path: Path, repository: Repository) -> None:
    with pytest.raises(ResolveError, match=r"the suite three is not on the mirror"):
        ready(tmp_path / "a", repository, "three")
    with pytest.raises(ResolveError) as caught:
        ready(tmp_path / "b", repository, components=("main", "mian"), architecture="armhf")
    assert {problem.path for problem in caught.value.problems} == {"system.architecture", "packages.components"}
    assert "did you mean main?" in str(caught.value)


def test_a_key_that_is_not_trusted(tmp_path: Path, repository: Repository) -> None:
    wish = mirror.Wish("one", mirror=repository.uri)
    with pytest.raises(ResolveError, match="not signed by a key that is trusted"):
        prepare(tmp_path / "a", wish, "amd64", ImageApt())
    unchecked = mirror.Wish("one", mirror=repository.uri, no_check=True)
    assert prepare(tmp_path / "b", unchecked, "amd64", ImageApt()).indices.codename == "one"


def test_a_release_past_its_date(tmp_path: Path, repository: Repository) -> None:
    with pytest.raises(ResolveError, match="the Release file of old .* is out of date"):
        ready(tmp_path, repository, "old")


def test_a_mirror_being_synchronised_is_tried_again(
    tmp_path: Path, debs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository(tmp_path / "repository")
    repository.make_key()
    packages = repository.publish("one", [debs["data"]]) / "Packages"
    right = packages.read_bytes()
    packages.write_bytes(right.replace(b"for a test", b"for a jest"))
    waits: list[float] = []
    monkeypatch.setattr(indices.time, "sleep", waits.append)
    with pytest.raises(ResolveError, match="the mirror is being synchronised"):
        ready(tmp_path / "a", repository)
    assert waits == [indices.PAUSE] * (indices.TRIES - 1)
    monkeypatch.setattr(indices.time, "sleep", lambda _seconds: packages.write_bytes(right) and None)
    assert ready(tmp_path / "b", repository).indices.codename == "one"
    repository.stop()


def test_pockets_come_along_where_the_mirror_has_them(
    tmp_path: Path, debs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository(tmp_path / "debian")
    repository.make_key()
    repository.publish("one", [debs["old"], debs["data"]])
    repository.publish("one-updates", [debs["new"]])
    made = ready(tmp_path / "a", repository)
    assert made.indices.pockets == ("one-updates",)
    assert versions(resolve(made.apt, tree(), {"packages.install": ["fleet-tool"]}))["fleet-tool"] == "2.0"
    security = Repository(tmp_path / "debian-security", home=repository.home)
    security.folder.mkdir()
    security.publish("one-security", [debs["data"]])
    assert ready(tmp_path / "b", repository).indices.pockets == ("one-updates", "one-security")
    repository.stop()


class Proxy(BaseHTTPRequestHandler):
    """A proxy that has one repository, whatever the host it is asked for."""

    folder: Path
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        path = self.folder / self.path.split("/", 4)[4]
        self.send_response(200 if path.is_file() else 404)
        content = path.read_bytes() if path.is_file() else b""
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def test_the_builders_proxy_holds_for_its_own_mirror_only(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Proxy, "folder", repository.folder, raising=False)
    monkeypatch.setattr(Proxy, "asked", [], raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    Thread(target=server.serve_forever, daemon=True).start()
    entry = mirror.Entry("http://archive.invalid/debian", "one", "Debian", str(repository.key))
    settings = (f'Acquire::http::Proxy "http://user:word@127.0.0.1:{server.server_port}/";',)
    monkeypatch.setattr(mirror, "read_builder", lambda: mirror.Builder((entry,), settings))
    build = tmp_path / "build"
    build.mkdir()
    with journal.writing(build):
        made = prepare(build, mirror.Wish("one"), "amd64", ImageApt())
        assert versions(resolve(made.apt, tree(), {"x": ["fleet-tool"]})) == {"fleet-tool": "1.0"}
        with pytest.raises(ResolveError, match="could not get one"):
            prepare(tmp_path / "b", mirror.Wish("one", mirror="http://other.invalid/debian"), "amd64", ImageApt())
    server.shutdown()
    server.server_close()
    assert Proxy.asked and all(url.startswith("http://archive.invalid/debian") for url in Proxy.asked)
    log = (build / journal.LOG).read_text()
    assert "127.0.0.1" in log and "word" not in log


def test_a_further_repository_that_is_not_there(tmp_path: Path, repository: Repository) -> None:
    with pytest.raises(ResolveError) as caught:
        ready(tmp_path, repository, sources={"x": [f"deb {repository.uri} three main"]})
    assert caught.value.where == "packages.sources" and "the suite three" in str(caught.value)


def test_indices_are_got_once_a_build(tmp_path: Path, repository: Repository) -> None:
    build = tmp_path / "build"
    build.mkdir()
    with journal.writing(build):
        ready(build, repository)
        ready(build, repository)
    log = (build / journal.LOG).read_text()
    assert log.count("apt-get -o APT::Status-Fd") == 1
    assert "packages come from the manifest's mirror" in log


def test_the_same_is_resolved_with_few_packages_as_with_all(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = [
        ("web", {"Depends": "mail-agent, db | other-db", "Recommends": "docs"}),
        ("first-mail", {"Provides": "mail-agent", "Conflicts": "db"}),
        ("second-mail", {"Provides": "mail-agent", "Depends": "db"}),
        *(("db", {}), ("other-db", {}), ("docs", {}), ("far", {"Provides": "mail"})),
    ]
    repository.publish("many", [make_deb(tmp_path, name, "1.0", fields=more) for name, more in fields])
    asks = (["web"], ["web", "other-db"], ["web", "second-mail"], ["mail-agent"], ["web", "first-mail", "db"])
    said = []
    for whole in (False, True):
        if whole:
            monkeypatch.setattr(nearby, "near", lambda *_, **__: None)
        made = ready(tmp_path / f"build-{whole}", repository, "many")
        for asked in asks:
            try:
                said.append(str(versions(resolve(made.apt, tree("many"), {"packages.install": asked}))))
            except ResolveError as error:
                said.append(str(error))
    assert said[: len(asks)] == said[len(asks) :] and "can't be installed" in said[-1]
    (index,) = (tmp_path / "build-False/apt/near").glob("*_Packages")
    assert "Package: far" not in index.read_text()
