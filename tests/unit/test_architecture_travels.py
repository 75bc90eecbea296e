# SPDX-License-Identifier: GPL-3.0-or-later
"""One value, `system.architecture`, followed from the manifest to a result: the plan, metadata.json and the lists of
packages and materials, the list of images, the domain; then a task for its machines, the queue, the result's place.

Registration is still to come, and takes it from metadata.json as the domain does, and from nowhere else: it gives EC2
its own name for it (`Architecture.ec2`), and refuses what has none. A broker's queues have it in their names:
df.task.<kind>.<arch>.<class>. Each joins this test when it is there.
"""

from __future__ import annotations

import contextlib
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import folder_build
import jsonschema
import pytest
from manifest_tools import accepted, check_data, good

from debfleet.common.architectures import TABLE, Architecture
from debfleet.common.errors import DebfleetError
from debfleet.common.folder import contents, listing
from debfleet.common.libvirt.domain_xml import domain_xml
from debfleet.common.libvirt.image import ImageFolder
from debfleet.common.libvirt.request import machine
from debfleet.common.manifest.plan import plan
from debfleet.controller import planning
from debfleet.queue.address import opened
from debfleet.queue.interface import Wanted
from debfleet.results.paths import Place
from debfleet.tasks.task import Task

ROWS = pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)


@pytest.fixture
def declared(tmp_path: Path, row: Architecture) -> dict[str, Any]:
    """The canonical manifest of an image that the hypervisor starts, for this architecture."""
    volume = {"backing": "raw", "partitions": {"type": "none", "root": {"size": "1GiB"}}}
    system = {"release": row.kernel_in[0], "architecture": row.name, "bootloader": "none"}
    checked = check_data(tmp_path, good(name=f"small-{row.name}", system=system, volume=volume))
    assert set(row.kernel_packages) <= set(plan(checked).packages)
    return accepted(checked)


@pytest.fixture
def image(tmp_path: Path, row: Architecture, declared: dict[str, Any]) -> Path:
    """Its finished folder."""
    source = folder_build.source(tmp_path)
    source.manifest.clear()  # type: ignore[attr-defined]
    source.manifest.update(declared)  # type: ignore[attr-defined]
    for path in (source.tree / "boot").glob("vmlinuz-*"):
        path.rename(path.with_name(path.name.replace("vmlinuz", row.kernel_file)))
    folder = tmp_path / "build" / declared["name"]
    folder.mkdir(parents=True)
    contents.write(folder, source)
    return folder


@ROWS
def test_from_the_manifest_to_the_machine(
    tmp_path: Path, repo: Path, row: Architecture, declared: dict[str, Any], image: Path
) -> None:
    described = planning.describe(declared, tmp_path)
    assert described["kernel_packages"] == list(row.kernel_packages)
    assert row.machine.serial in described["console_arguments"]

    metadata = json.loads((image / "metadata.json").read_text())
    jsonschema.validate(metadata, json.loads((repo / "schemas/metadata.json").read_text()))
    assert metadata["architecture"] == row.name
    assert metadata["kernel"] == folder_build.KERNELS[1]
    assert (image / "vmlinuz").is_file()
    assert json.loads((image / "packages.json").read_text())["architecture"] == row.name

    (listed,) = listing.builds(image.parent)
    assert (listed.state, listed.architecture) == ("ok", row.name)
    assert row.name in listing.to_text([listed]).splitlines()[1].split()

    found = ImageFolder.read(image)
    assert found.architecture is row
    assert found.expected().architecture == row.name
    assert found.expected().serial == row.machine.serial

    asked = {"name": found.name, "image": str(image), "accelerator": "tcg", "emulator": f"/usr/bin/{row.emulator}"}
    domain = ET.fromstring(domain_xml(machine(asked)))
    assert domain.find("os/type[@arch]").attrib["arch"] == row.libvirt  # type: ignore[union-attr]
    assert domain.findtext("devices/emulator") == asked["emulator"]
    assert domain.findtext("os/kernel") == str(image / "vmlinuz")
    other = next(one for one in TABLE.values() if one is not row)
    with pytest.raises(DebfleetError, match=f"of another architecture than the domain: {row.name}, not {other.name}"):
        machine({**asked, "architecture": other.name})


@ROWS
def test_from_the_image_to_a_result(tmp_path: Path, row: Architecture, image: Path) -> None:
    """A task of an image's architecture reaches nodes of it alone, and leaves its result where that is said."""
    arch = ImageFolder.read(image).architecture.name
    task = Task.from_dict({"kind": "rebuild", "suite": "sid", "arch": arch, "package": "hello", "version": "2.10-3"})
    others = tuple(name for name in TABLE if name != arch)
    with contextlib.closing(opened(f"sqlite://{tmp_path}/queue.sqlite")) as queue:
        queue.submit("run", [task])
        assert queue.pull(Wanted(others, ("rebuild",), worker="other")) is None
        lease = queue.pull(Wanted((arch,), ("rebuild",), worker="one"))
    assert lease is not None and lease.task.arch == row.name
    place = Place.of(lease.task)
    assert place.arch == row.name and place.path == f"run/rebuild/sid/{row.name}/hello/2.10-3"


@pytest.mark.parametrize("row", [TABLE["armhf"]], ids=["armhf"])
def test_the_machine_is_of_what_was_built_whatever_its_manifest_says(image: Path) -> None:
    path = image / "manifest.json"
    told = json.loads(path.read_text())
    told["system"]["architecture"] = "amd64"
    path.write_text(json.dumps(told))
    assert ImageFolder.read(image).architecture.name == "armhf"
