# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree as mmdebstrap leaves it: what it leaks is named; cleaned, nothing is found, and its packages are listed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from debfleet.common import inspect
from debfleet.common.folder import packages, sbom

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The smallest tree of the builder's own release, from the builder's own mirror."""
    shown = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"]
    targets = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.split("\n")
    words = [line.split() for line in targets if line.endswith(" main")]
    uri, suite = next((uri, suite) for uri, suite, _ in words if "-" not in suite)
    top = tmp_path_factory.mktemp("bootstrap") / "root"
    lax = 'Acquire::Check-Valid-Until "false"'
    argv = ["mmdebstrap", "--variant=minbase", "--include=openssh-server", f"--aptopt={lax}", suite, str(top), uri]
    subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", *argv], check=True, capture_output=True)
    yield top
    shutil.rmtree(top)


def test_what_the_bootstrap_leaves_is_named_and_without_it_the_tree_is_clean(tree: Path) -> None:
    found = {check.name for check in inspect.report(tree, None).checks if not check.ok}
    assert {"ssh-host-keys", "apt-sources", "bootstrap-leftovers"} <= found
    if socket.gethostname() != "localhost":
        assert "hostname" in found
    for path in [*tree.glob("etc/ssh/ssh_host_*"), tree / "etc/apt/apt.conf.d/99mmdebstrap", tree / "etc/hostname"]:
        path.unlink()
    (tree / "etc/resolv.conf").unlink(missing_ok=True)
    (tree / "etc/apt/sources.list").write_text("")
    report = inspect.report(tree, None)
    assert report.ok, report.to_text()


def test_a_real_trees_bill_of_materials_is_valid(tree: Path) -> None:
    found = packages.installed(tree)
    dpkg = ["dpkg-query", f"--admindir={tree}/var/lib/dpkg", "--show", "--showformat=${Package} ${Version}\n"]
    told = subprocess.run(dpkg, capture_output=True, text=True, check=True).stdout.splitlines()
    assert sorted(told) == sorted(f"{package.name} {package.version}" for package in found)
    assert sum(bool(package.licences) for package in found) > len(found) / 2
    text = sbom.make(
        found,
        name="x",
        release="stable",
        architecture="amd64",
        file="disk.raw",
        digest=lambda: "ab" * 32,
        version="1",
        time_built="2026-11-24T12:00:00Z",
    )
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert len(json.loads(text)["components"]) == len(found)
