# SPDX-License-Identifier: GPL-3.0-or-later
"""Running all checks over an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import journal
from ..errors import DebfleetError
from .checks import (
    apt_lists,
    apt_sources,
    authorized_keys,
    bootstrap_leftovers,
    cloud_init,
    diversions,
    filesystems,
    fstab,
    hostname,
    logs,
    machine_id,
    modes,
    owners,
    packages,
    passwords,
    policy_rc_d,
    private_keys,
    random_seeds,
    resolver,
    setuid,
    ssh_host_keys,
    temporary_files,
    world_writable,
)
from .host import Host
from .reader import opened
from .results import Report, Result
from .subject import Subject

Check = Callable[[Subject, Result], None]

# In the order they are told. A new check is one file and one line here.
TREE: dict[str, Check] = {
    "ssh-host-keys": ssh_host_keys.check,
    "machine-id": machine_id.check,
    "passwords": passwords.check,
    "authorized-keys": authorized_keys.check,
    "private-keys": private_keys.check,
    "random-seeds": random_seeds.check,
    "resolver": resolver.check,
    "hostname": hostname.check,
    "apt-sources": apt_sources.check,
    "apt-lists": apt_lists.check,
    "logs": logs.check,
    "temporary-files": temporary_files.check,
    "cloud-init": cloud_init.check,
    "policy-rc.d": policy_rc_d.check,
    "diversions": diversions.check,
    "bootstrap-leftovers": bootstrap_leftovers.check,
    "packages": packages.check,
    "owners": owners.check,
    "modes": modes.check,
    "world-writable": world_writable.check,
    "setuid": setuid.check,
    "fstab": fstab.check,
}
DISK: dict[str, Check] = {"filesystems": filesystems.check}  # these need no root tree


def report(
    image: Path, manifest: Mapping[str, Any] | None, *, host: Host | None = None, scratch: Path | None = None
) -> Report:
    """Look at a finished image without changing it.

    :param image: a file of any format that qemu-img reads, the folder of a build, or a root tree.
    :param manifest: what was asked for, in its canonical form; without it nothing was.
    :param host: the builder, whose traces are looked for; this machine where not given.
    :param scratch: an existing folder for temporary files, released by whom it belongs to.
    """
    journal.tell("opening the image")
    with opened(image, manifest, host or Host.current(), scratch) as subject:
        results = [_disk(subject)] if subject.raw else []
        checks = {**DISK, **TREE} if subject.raw else TREE
        for number, (name, check) in enumerate(checks.items()):
            journal.tell(f"looking at {name}", number, len(checks))
            result = Result(name)
            if name in TREE and not subject.has_root:
                result.miss("the root filesystem: there is none that can be read")
            else:
                _run(check, subject, result)
            results.append(result)
        journal.tell("the image is looked at", len(checks), len(checks))
    return Report(image, results)


def _run(check: Check, subject: Subject, result: Result) -> None:
    """Run one check; what it can't read is said and stops that check alone."""
    try:
        check(subject, result)
    except OSError as error:
        result.miss(f"{error.filename or subject.root.top}: {error.strerror}".replace(str(subject.root.top), ""))
    except DebfleetError as error:
        result.miss(str(error))


def _disk(subject: Subject) -> Result:
    """What is on the disk, and what of it could not be read."""
    result = Result("disk")
    result.look(*map(str, subject.filesystems))
    for unread in subject.unread:
        result.miss(unread)
    return result
