# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role in some scenario of molecule/, and each scenario run to its end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
ELSEWHERE = {"plugin_prebootstrapped": "test_image_ansible.py"}  # which needs an earlier image to begin with
IMAGES = {"machines": "kvm-amd64"}  # those of other tests, so that no scenario builds one of its own
ROLES = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/tasks/*.yml"))


def words(value: object) -> set[str]:
    """Every string in a YAML value."""
    if isinstance(value, dict):
        return words(list(value)) | words(list(value.values()))
    if isinstance(value, list):
        return set().union(*map(words, value)) if value else set()
    return {value} if isinstance(value, str) else set()


def roles_of(manifest: Path) -> set[str]:
    """The roles that a build of this manifest includes."""
    declared = yaml.safe_load(manifest.read_text())
    return {"image", f"provider_{declared['provider']['name']}", *(f"plugin_{name}" for name in declared["plugins"])}


def test_every_role_is_in_a_scenario() -> None:
    named: set[str] = set()
    for manifest in ROOT.glob("molecule/*/manifest.yml"):
        named |= roles_of(manifest)
    for path in ROOT.glob("molecule/*/converge.yml"):
        named |= words(yaml.safe_load(path.read_text()))
    for role, test in ELSEWHERE.items():
        if f'"{role.removeprefix("plugin_")}"' in (Path(__file__).parent / test).read_text():
            named.add(role)
    missing = sorted(set(ROLES) - named)
    assert not missing, f"no molecule/*/converge.yml or manifest.yml names {', '.join(missing)}"


def processes(path: str) -> list[str]:
    """Those that have this path in their command line."""
    lines = subprocess.run(["ps", "-eo", "args"], text=True, capture_output=True, check=True).stdout.splitlines()
    return [line for line in lines if path in line]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, tmp_path: Path, built: Callable[..., Path]) -> None:
    bin_folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path / "molecule"),
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
        "NO_COLOR": "1",
    }
    if scenario in IMAGES:
        environment["DEBFLEET_IMAGE"] = str(built(IMAGES[scenario]))
    done = subprocess.run(
        [bin_folder / "molecule", "test", "--scenario-name", scenario],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert processes(str(tmp_path)) == []
    assert not (tmp_path / "molecule/machines").exists()
