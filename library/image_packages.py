#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of an image, resolved before anything of it is made."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_packages
short_description: The packages of an image, resolved before anything of it is made
version_added: "1.0.0"
description:
  - Resolves all that an image will hold against the mirror, with its dependencies, pins and further repositories.
  - Names every package, version, suite, component and architecture that is not there, all at once.
  - Apt's indices stay in the folder of the build, where the bootstrap finds them again.
author:
  - debfleet (@debfleet)
attributes:
  check_mode:
    description: Nothing is ever changed but the folder of the build.
    support: full
  diff_mode:
    description: Nothing is changed.
    support: none
options:
  suite:
    description: Suite or codename.
    type: str
    required: true
  architecture:
    description: Debian's name of the architecture; this machine's by default.
    type: str
  bootstrapper:
    description:
      - The manifest's section C(bootstrapper) in its canonical form. Keys used are tool, variant, mirror, keyring,
        no-check-gpg, include_packages and exclude_packages.
    type: dict
    default: {}
  image_apt:
    description:
      - The manifest's section C(packages) in its canonical form. What its C(install) and C(install_standard) name is
        resolved too.
    type: dict
    default: {}
  packages:
    description:
      - Further packages, as lists by the one who asks for them, whose name errors show. Names, C(name/suite),
        C(name=version), or paths of .deb files.
    type: dict
    default: {}
  recommends:
    description: Whether recommended packages are installed too.
    type: bool
    default: false
  proxy:
    description:
      - Address of a proxy for apt, with its user and password, as C(http://user:password@host:port). It holds while
        building; this machine's own when empty.
    type: str
    default: ''
  cache:
    description:
      - Whether apt's indices, and what was resolved, are kept for later builds, and taken from earlier ones where the
        mirror still has the same.
    type: bool
    default: false
  locked:
    description:
      - The C(packages.json) of an earlier image. Exactly its versions are taken, in this build's later steps too.
      - Where the mirror would give others, none of a package, or further packages, each is named.
    type: path
  build:
    description:
      - Folder of the running build, with its log, progress and ledger. Without it nothing is kept.
    type: path
"""

EXAMPLES = r"""
- name: Resolve what an image will hold
  image_packages:
    suite: trixie
    image_apt:
      components: [main]
      install: [openssh-server]
    packages:
      image: [linux-image-cloud-amd64, systemd-sysv]
  register: resolved
"""

RETURN = r"""
packages:
  description: Every package that will be in the image, sorted by name; sizes in bytes.
  returned: always
  type: list
  elements: dict
  sample: [{"name": "apt", "version": "3.0.3", "architecture": "amd64", "download_size": 1400000,
            "installed_size": 4500000}]
download_size:
  description: Bytes that the packages have together.
  returned: always
  type: int
installed_size:
  description: Bytes that they take in the image, as they say themselves.
  returned: always
  type: int
archive:
  description: The state of the archive in one word; it changes whenever one of the Release files does.
  returned: always
  type: str
released:
  description: When the newest of the Release files was made, in seconds since 1970; 0 where none of them says it.
  returned: always
  type: int
codename:
  description: The suite's codename, from the mirror.
  returned: always
  type: str
pockets:
  description: The pockets (updates, security) that the mirror has for the suite.
  returned: always
  type: list
  elements: str
mirror:
  description: Whose mirror is used; one of C(manifest), C(builder) and C(tool).
  returned: always
  type: str
seconds:
  description: How long it took.
  returned: always
  type: float
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debfleet import journal
from ansible.module_utils.debfleet.bootstrap import locked, mirror, nearby, resolve, resolved
from ansible.module_utils.debfleet.bootstrap.image import ImageApt
from ansible.module_utils.debfleet.bootstrap.prepare import prepare
from ansible.module_utils.debfleet.bootstrap.tree import archive_digest, released
from ansible.module_utils.debfleet.bootstrap.variant import Tree
from ansible.module_utils.debfleet.errors import DebfleetError
from ansible.module_utils.debfleet.run import raise_on_signals, run


@dataclass(frozen=True)
class Params:
    """The module's options."""

    suite: str
    architecture: str | None
    bootstrapper: dict[str, Any]
    image_apt: dict[str, Any]
    packages: dict[str, list[str]]
    recommends: bool
    proxy: str
    cache: bool
    locked: str | None
    build: str | None


@contextlib.contextmanager
def folder_of(params: Params) -> Iterator[Path]:
    """The build's folder, or one that is gone at the end."""
    if params.build:
        yield Path(params.build)
        return
    with tempfile.TemporaryDirectory(prefix="debfleet-") as folder:
        yield Path(folder)


def desired(params: Params) -> Tree:
    """The tree that will be bootstrapped."""
    return Tree(
        root=Path("/"),
        suite=params.suite,
        architecture=params.architecture or run(["dpkg", "--print-architecture"]).stdout.strip(),
        variant=params.bootstrapper.get("variant") or "minbase",
        include=tuple(params.bootstrapper.get("include_packages") or ()),
        exclude=tuple(params.bootstrapper.get("exclude_packages") or ()),
    )


def read_current(params: Params, folder: Path) -> dict[str, Any]:
    """What the mirror has of it."""
    tree = desired(params)
    wish = mirror.wish_of(params.bootstrapper, params.image_apt, params.suite, params.proxy)
    ready = prepare(
        folder, wish, tree.architecture, ImageApt.of(params.image_apt), recommends=params.recommends,
        cache=params.cache,
    )  # fmt: skip
    lock = locked.read(Path(params.locked)) if params.locked else None
    if lock:
        locked.hold(ready.apt, lock)
    named = params.image_apt.get("install") or []  # asked for by a task too, but told by its place in the manifest
    others = {asker: [one for one in asked if one not in named] for asker, asked in params.packages.items()}
    wanted = {"packages.install": named, **others}
    standard = bool(params.image_apt.get("install_standard"))
    found = resolved.known(ready.apt, tree, wanted, standard=standard) if params.cache else None
    if found is None:
        found = resolve.resolve(ready.apt, tree, wanted, standard=standard)
        if params.cache:
            resolved.keep(ready.apt, tree, wanted, found, standard=standard)
    words = resolve.asked_words(ready.apt, tree, wanted, standard=standard)
    nearby.note(ready.apt, words, (package.name for package in found))
    if lock and (drift := locked.drift(lock, found)):
        raise locked.DriftError(Path(str(params.locked)), drift)
    return {
        "packages": [asdict(package) for package in found],
        "download_size": sum(package.download_size for package in found),
        "installed_size": sum(package.installed_size for package in found),
        "archive": archive_digest(ready.apt),
        "released": released(ready.apt),
        "codename": ready.indices.codename,
        "pockets": list(ready.indices.pockets),
        "mirror": ready.mirrors.origin,
    }


def main() -> None:
    """Run the module."""
    raise_on_signals()
    module = AnsibleModule(
        argument_spec={
            "suite": {"type": "str", "required": True},
            "architecture": {"type": "str"},
            "bootstrapper": {"type": "dict", "default": {}},
            "image_apt": {"type": "dict", "default": {}},
            "packages": {"type": "dict", "default": {}},
            "recommends": {"type": "bool", "default": False},
            "proxy": {"type": "str", "default": "", "no_log": True},
            "cache": {"type": "bool", "default": False},
            "locked": {"type": "path"},
            "build": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = Params(**module.params)
    start = time.monotonic()
    try:
        with journal.writing(params.build, mirror.credentials(params.proxy)), folder_of(params) as folder:
            result = read_current(params, folder)
    except (DebfleetError, OSError) as error:
        module.fail_json(msg="could not resolve the image's packages", exception=error)
    module.exit_json(changed=False, **result, seconds=round(time.monotonic() - start, 2))


if __name__ == "__main__":
    main()
