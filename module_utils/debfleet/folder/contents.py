# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build's folder holds, written into a folder that is not in its place yet."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import journal, kernels, masking, savings
from ..architectures import Architecture, architecture
from ..disk import ids, shrink
from ..disk.formats import convert
from . import metadata, packages, sbom

LOG, SUMS = journal.LOG, "SHA256SUMS"
# What may still grow after the folder stands in its place; it has no place among the sums.
UNSUMMED = {LOG, SUMS, "proof.json"}


@dataclass(frozen=True)
class Source:
    """What a build has made.

    :param disk: the raw disk.
    :param tree: the root tree, still there.
    :param log: the build's log, where there is one.
    :param manifest: canonical, with its secrets.
    :param seconds: of each phase so far.
    :param build: the work folder of the build, where there is one.
    :param inputs: all that shaped it, by name and in one word each.
    """

    disk: Path
    tree: Path
    log: Path | None
    manifest: Mapping[str, Any]
    layout: Mapping[str, Any]
    seconds: Mapping[str, float]
    build: Path | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)


def write(folder: Path, source: Source, looked: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """Fill a build's folder. Returns metadata.json.

    :param looked: waits for who looks at the disk meanwhile; called before the log is copied.
    """
    manifest, system = source.manifest, source.manifest["system"]
    backing = manifest["volume"]["backing"]
    image = folder / f"disk.{backing}"
    journal.tell(f"writing {image.name}", 0, 4)
    shrink.write(
        source.disk,
        image,
        backing,
        shrink=shrink.Shrink.load(source.build),
        layout=source.layout,
        build=source.build,
        place=lambda: place_raw(source.disk, image),
        same=bool(manifest.get("reproducible")),
    )
    if manifest.get("reproducible") and backing in ids.WAYS:
        ids.unify(image, backing, metadata.sha256(source.disk))
    kernel = next(reversed(kernels.within(source.tree)), None)
    if system["bootloader"] == "none" and kernel:
        copy_kernel(source.tree, kernel, folder, architecture(system["architecture"]))
    journal.tell(f"computing the SHA-256 of {image.name}", 1, 4)
    with ThreadPoolExecutor(1) as beside:  # hashing leaves the interpreter to others
        hashed = beside.submit(metadata.sha256, image)
        journal.tell("listing the packages", 2, 4)
        found = packages.installed(source.tree)
        time_built = metadata.built(bool(manifest.get("reproducible")))
        journal.tell("writing the bill of materials", 3, 4)
        bill = sbom.make(
            found,
            name=manifest["name"],
            release=system["release"],
            architecture=system["architecture"],
            file=image.name,
            digest=hashed.result,
            version=metadata.version(),
            time_built=time_built,
        )
        digest = hashed.result()
    told = metadata.make(
        image,
        digest=digest,
        virtual_size=source.disk.stat().st_size,
        manifest=manifest,
        layout=source.layout,
        seconds=source.seconds,
        kernel=kernels.version(kernel) if kernel else None,
        packages=len(found),
        time_built=time_built,
        saved=savings.read(source.build),
        inputs=source.inputs,
    )
    mode = 0o600 if masking.secrets_of(manifest) else 0o644  # of what holds a secret, or may
    _json(folder / "manifest.json", masking.masked(manifest))
    _json(
        folder / "packages.json", packages.listing(manifest["name"], system["release"], system["architecture"], found)
    )
    _json(folder / "metadata.json", told)
    (folder / "sbom.cdx.json").write_text(bill + "\n", encoding="utf-8")
    sums = {path.name: digest if path == image else metadata.sha256(path) for path in sorted(folder.iterdir())}
    lines = [f"{sums[name]}  {name}\n" for name in sorted(sums) if name not in UNSUMMED]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)
    image.chmod(mode)
    journal.tell("the image's folder is ready", 4, 4)
    looked()
    if source.log and source.log.exists():
        shutil.copyfile(source.log, folder / LOG)
        (folder / LOG).chmod(mode)
    return told


def place_raw(disk: Path, image: Path) -> None:
    """Put the raw disk into the folder as it is; it costs nothing where both are on one filesystem."""
    with contextlib.suppress(OSError):
        image.hardlink_to(disk)
        return
    convert(disk, image, "raw")


def copy_kernel(tree: Path, kernel: str, folder: Path, row: Architecture) -> None:
    """Copy a kernel and its initramfs out of the tree's /boot, for who boots the image by them; and the device trees of
    the machines that it is for, where the kernel has to be told of them.
    """
    boot = tree / "boot"
    shutil.copyfile(boot / kernel, folder / "vmlinuz")
    initramfs = boot / kernels.initrd(kernel)
    if initramfs.is_file():
        shutil.copyfile(initramfs, folder / "initrd.img")
    for name in filter(None, (machine.device_tree for machine in row.machine_types)):
        for found in (tree / f"usr/lib/linux-image-{kernels.version(kernel)}").rglob(name):
            shutil.copyfile(found, folder / name)


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
