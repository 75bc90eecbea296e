# SPDX-License-Identifier: GPL-3.0-or-later
"""`debfleet manifest check` and `plan`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from debfleet.cli import main
from debfleet.common.phases import PHASES

GOOD = """\
name: {0}
provider: {{name: kvm}}
volume: {{size: 2GiB, partitions: {{root: {{}}}}}}
plugins: {{cloud_init: {{}}}}
"""


def test_good_and_bad_files_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(GOOD.format("one"))
    bad.write_text(GOOD.format("two") + "colour: blue\nshape: round\n")
    assert main(["manifest", "check", str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: right\n"
    assert main(["manifest", "check", str(good), str(bad), str(tmp_path / "none.yml")]) == 1
    said = capsys.readouterr().out
    assert f"{bad}:5:1: colour: unknown section colour" in said and f"{bad}:6:1: shape" in said and "none.yml" in said
    assert main(["manifest", "check", "--json", str(good), str(bad)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["errors", "notices"]
    assert [error["path"] for error in found["errors"]] == ["colour", "shape"]


def test_notices_are_no_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.yml"
    path.write_text(GOOD.format("x") + "bootstrapdir: /target\n")
    assert main(["manifest", "check", "--json", str(path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not found["errors"] and [notice["path"] for notice in found["notices"]] == ["bootstrapdir"]
    assert main(["manifest", "check", "-q", str(path)]) == 0
    assert capsys.readouterr().out == ""


def test_the_plan_lists_phases_tasks_disk_and_packages(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manifest", "plan", str(repo / "manifests/kvm-amd64.yml")]) == 0
    said = capsys.readouterr().out
    for word in (*PHASES, "Bootstrap Debian", "plugin_cloud_init", "root", "esp", "linux-image", "cloud-init"):
        assert word in said
    assert main(["manifest", "plan", "--json", str(repo / "manifests/kvm-amd64-direct.yml")]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [phase["phase"] for phase in plan["phases"]] == list(PHASES)
    assert plan["layout"]["map"] == "none" and not plan["not_built"]
    assert "openssh-server" in plan["packages"]


def test_the_plan_names_what_is_not_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.yml"
    path.write_text(GOOD.format("x").replace("kvm", "virtualbox").replace("cloud_init", "opennebula"))
    assert main(["manifest", "plan", str(path)]) == 0
    said = capsys.readouterr().out
    assert "not built yet: provider_virtualbox" in said and "not built yet: plugin_opennebula" in said


def test_a_plan_of_a_bad_manifest_is_its_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.yml"
    path.write_text("nmae: x\n")
    assert main(["manifest", "plan", str(path)]) == 1
    assert "did you mean name?" in capsys.readouterr().out
    assert main(["manifest", "plan", "--json", str(path)]) == 1
    assert json.loads(capsys.readouterr().out)["errors"]


@pytest.mark.parametrize("words", [["check"], ["plan"], ["plan", "a", "b"], ["check", "--nonsense", "a"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["manifest", *words])
    assert ended.value.code == 2 and "usage" in capsys.readouterr().err


def test_a_noun_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manifest"]) == 2
    assert "check" in capsys.readouterr().err


def test_checking_loads_nothing_of_ansible(repo: Path) -> None:
    code = (
        "import sys; from debfleet.cli import main; main(['manifest', 'check', sys.argv[1]]); "
        "assert not {'ansible', 'jinja2', 'libvirt'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(repo / "manifests/kvm-amd64.yml")], check=True, capture_output=True)


def test_the_plan_of_a_manifest_that_extends_another_shows_what_they_give(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = tmp_path / "low.yml", tmp_path / "high.yml"
    low.write_text(GOOD.format("one"))
    high.write_text("extends: low.yml\nsystem: {hostname: changed}\nplugins: {root_password: {password: s3cretword}}\n")
    assert main(["manifest", "plan", str(high)]) == 0
    said = capsys.readouterr().out
    assert f"{high} over {low} gives it:" in said
    assert "    hostname: changed\n" in said and "    release: " in said
    assert "s3cretword" not in said and "password-crypted: '********'" in said
    assert main(["manifest", "plan", "--json", str(high)]) == 0
    assert json.loads(capsys.readouterr().out)["layers"] == [str(high), str(low)]
