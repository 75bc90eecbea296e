# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules image_folder and image_inspect: missing argument, bad choice, check mode, failure, success."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import folder_build
import image_folder
import image_inspect
import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from inspect_tree import make, put

from debfleet.common.disk.shrink import Shrink
from debfleet.common.folder import contents
from debfleet.common.inspect import Report, Result
from debfleet.common.ledger import Ledger
from debfleet.common.process import Process

Run = Callable[..., dict[str, Any]]
HASH = folder_build.HASH
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="owners can't be right without root")


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """A module's handlers end with the test."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a module with these options; returns its result."""

    def run_module(module: ModuleType, check: bool = False, **options: Any) -> dict[str, Any]:
        given = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
        with patch_module_args({**given, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run_module


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    source = folder_build.source(tmp_path)
    place = tmp_path / "build/small"
    manifest, layout = dict(source.manifest), dict(source.layout)
    return {"folder": place, "disk": source.disk, "tree": source.tree, "manifest": manifest, "layout": layout}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The work folder of a running build."""
    monkeypatch.setattr("debfleet.common.ledger.state_folder", lambda: tmp_path / "state")
    ledger = Ledger.open("small", Process.of(os.getpid()))
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "ledger").write_text(str(ledger.path))
    (folder / "phases.json").write_text('{"preparation": 1.5}')
    (folder / "build.log").write_text("the beginning\n")
    return folder


def test_folder_needs_a_disk(run: Run, tmp_path: Path) -> None:
    assert "missing: disk, tree" in run(image_folder, folder=tmp_path / "x")["msg"]


def test_folder_refuses_a_bad_state(run: Run, options: dict[str, Any]) -> None:
    assert "value of state must be one of" in run(image_folder, **options, state="gone")["msg"]


def test_folder_in_check_mode(run: Run, options: dict[str, Any]) -> None:
    result = run(image_folder, check=True, **options)
    assert result["changed"] and not options["folder"].parent.exists()


def test_folder_says_what_failed_and_leaves_nothing(run: Run, options: dict[str, Any]) -> None:
    options["manifest"]["volume"]["backing"] = "floppy"
    result = run(image_folder, **options)
    assert result["failed"] and result["msg"].startswith("could not put the image into its folder")
    assert list(options["folder"].parent.iterdir()) == []


def test_folder_does_not_replace_what_no_build_made(run: Run, options: dict[str, Any]) -> None:
    options["folder"].mkdir(parents=True)
    for check in (True, False):
        assert run(image_folder, check=check, **options)["failed"]


def test_folder_of_a_running_build(run: Run, options: dict[str, Any], work: Path) -> None:
    result = run(image_folder, **options, build=work)
    assert result["changed"] and result["folder"] == str(options["folder"])
    assert result["metadata"]["seconds"] == {"preparation": 1.5}
    assert (options["folder"] / "build.log").read_text().startswith("the beginning")
    assert (work / "published").exists()
    assert Ledger.load((work / "ledger").read_text()).held == []
    assert HASH not in json.dumps(result)
    for path in work.iterdir():
        assert HASH not in path.read_text()


def test_folder_is_made_anew_and_removed(run: Run, options: dict[str, Any]) -> None:
    assert run(image_folder, **options)["changed"]
    assert run(image_folder, **options)["changed"]
    assert run(image_folder, check=True, folder=options["folder"], state="absent")["changed"]
    assert options["folder"].exists()
    assert run(image_folder, folder=options["folder"], state="absent")["changed"]
    assert not run(image_folder, folder=options["folder"], state="absent")["changed"]


@pytest.mark.parametrize("clean", [True, False])
def test_folder_inspects_before_it_puts_anything_in_place(
    run: Run, options: dict[str, Any], work: Path, monkeypatch: pytest.MonkeyPatch, clean: bool
) -> None:
    assert run(image_folder, **options)["changed"]
    old = (options["folder"] / "metadata.json").stat().st_ino
    result = Result("logs")
    if not clean:
        result.find("/var/log/x", "a log of the build", "remove it")
    looked_at = []

    def report(image: Path, *_: Any, **__: Any) -> Report:
        looked_at.append(image)
        return Report(image, [result])

    monkeypatch.setattr(image_folder.inspect, "report", report)
    told = run(image_folder, **options, inspect=True, build=work)
    assert looked_at == [options["disk"]]
    assert told["report"]["ok"] is clean
    assert "logs" in (work / "build.log").read_text()
    assert ((options["folder"] / "metadata.json").stat().st_ino == old) is not clean
    assert [path.name for path in options["folder"].parent.iterdir()] == ["small"]
    if clean:
        assert "logs" in (options["folder"] / "build.log").read_text()
    else:
        assert told["msg"].startswith("could not pass the image") and "a log of the build" in json.dumps(told)


@pytest.mark.parametrize(("asked", "first"), [(Shrink(), False), (Shrink(zerofree=True), True)])
def test_a_disk_that_is_to_be_written_is_inspected_first(
    run: Run, options: dict[str, Any], work: Path, monkeypatch: pytest.MonkeyPatch, asked: Shrink, first: bool
) -> None:
    order = []
    both = threading.Event()

    def report(image: Path, *_: Any, **__: Any) -> Report:
        if not first:
            assert both.wait(60)
        order.append("looked")
        return Report(image, [])

    def write(folder: Path, source: contents.Source, looked: Callable[[], object]) -> dict[str, Any]:
        order.append("wrote")
        both.set()
        looked()
        (folder / "metadata.json").write_text("{}")
        return {}

    monkeypatch.setattr(image_folder.inspect, "report", report)
    monkeypatch.setattr(image_folder.contents, "write", write)
    asked.save(work)
    assert run(image_folder, **options, inspect=True, build=work)["changed"]
    assert order == (["looked", "wrote"] if first else ["wrote", "looked"])


def test_inspect_needs_an_image(run: Run) -> None:
    assert "missing required arguments: image" in run(image_inspect)["msg"]


def test_inspect_refuses_a_manifest_that_is_none(run: Run, tmp_path: Path) -> None:
    assert "manifest" in run(image_inspect, image=tmp_path, manifest=["x"])["msg"]


def test_inspect_in_check_mode_needs_no_image(run: Run, tmp_path: Path) -> None:
    result = run(image_inspect, check=True, image=tmp_path / "none")
    assert not result["changed"] and result["skipped"]


def test_inspect_without_an_image_fails(run: Run, tmp_path: Path) -> None:
    result = run(image_inspect, image=tmp_path / "none")
    assert result["failed"] and result["msg"].startswith("could not inspect the image")


@root_only
def test_inspect_names_every_finding(run: Run, tmp_path: Path, work: Path) -> None:
    tree = make(tmp_path / "root")
    put(tree, "etc/ssh/ssh_host_rsa_key")
    put(tree, "etc/shadow", f"root:{HASH}:1::::::\n", 0o640)
    put(tree, "tmp/x")
    result = run(image_inspect, image=tree, build=work)
    assert result["failed"]
    told = json.dumps(result)
    for path in ("/etc/ssh/ssh_host_rsa_key", "/etc/shadow", "/tmp/x"):
        assert path in told
    assert {check["name"] for check in result["report"]["checks"]} == {"ssh-host-keys", "passwords", "temporary-files"}
    assert "ssh_host_rsa_key" in (work / "build.log").read_text()


@root_only
def test_inspect_passes_what_was_asked_for(run: Run, tmp_path: Path) -> None:
    tree = make(tmp_path / "root")
    put(tree, "etc/shadow", f"root:{HASH}:1::::::\n", 0o640)
    asked = {"plugins": {"root_password": {"password-crypted": HASH}}}
    for check in (True, False):
        result = run(image_inspect, check=check, image=tree, manifest=asked)
        assert not result.get("failed") and not result["changed"] and result["report"]["ok"]
        assert HASH not in json.dumps(result)


@pytest.mark.parametrize("module", [image_folder, image_inspect])
def test_the_documentation_is_that_of_the_options(
    module: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    class CaughtError(Exception):
        pass

    def catch(argument_spec: dict[str, Any], **_: Any) -> None:
        seen.update(argument_spec)
        raise CaughtError

    monkeypatch.setattr(module, "AnsibleModule", catch)
    with pytest.raises(CaughtError):
        module.main()
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert set(documented) == set(seen)
    for name, option in documented.items():
        for word in ("required", "default", "choices"):
            assert option.get(word) == seen[name].get(word), f"{name}: {word}"
        assert option["type"] == seen[name].get("type", "str"), name
    yaml.safe_load(module.EXAMPLES)
    yaml.safe_load(module.RETURN)
