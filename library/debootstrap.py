#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian root tree."""

from __future__ import annotations

DOCUMENTATION = r"""
module: debootstrap
short_description: A Debian root tree
version_added: "1.0.0"
description:
  - Makes a root tree by mmdebstrap or debootstrap, and writes the image's own apt configuration into it.
  - Packages come from the mirror of the manifest, else from this machine's own, else from the tool's default. Nothing
    of this machine (mirror, proxy, resolver, hostname) is left in the tree.
  - A tree that was made from the same inputs is not made again.
author:
  - debfleet (@debfleet)
attributes:
  check_mode:
    description: Says whether the tree would be made, and makes nothing.
    support: full
  diff_mode:
    description: A tree has no useful diff.
    support: none
options:
  root:
    description: Folder of the tree. It is made where it is missing, and must be empty or an earlier try of this build.
    type: path
    required: true
  suite:
    description: Suite or codename.
    type: str
    required: true
  architecture:
    description: Debian's name of the architecture; this machine's by default.
    type: str
  bootstrapper:
    description:
      - The manifest's section C(bootstrapper) in its canonical form. Keys are tool, variant, mirror, tarball, keyring,
        no-check-gpg, force-check-gpg, include_packages and exclude_packages.
    type: dict
    default: {}
  image_apt:
    description:
      - The manifest's section C(packages) in its canonical form. Keys used are mirror, security, components, sources,
        preferences, apt.conf.d, trusted-keys and include-source-type.
    type: dict
    default: {}
  source:
    description:
      - A folder with a tree, an image file, or the folder of an earlier build, to begin with instead of bootstrapping.
      - It must be of the same suite and architecture. Its packages are brought to their newest versions.
    type: path
  recommends:
    description: Whether recommended packages are installed, here and by later steps of the build.
    type: bool
    default: false
  proxy:
    description:
      - Address of a proxy for apt, with its user and password, as C(http://user:password@host:port). It holds while
        building; this machine's own when empty.
    type: str
    default: ''
  foreign:
    description:
      - How programs of another architecture than this machine's are run, here and by later steps of the build.
      - C(private) takes native tools in their place, through a binfmt_misc of the build's own, which needs Linux 6.7;
        C(host) does so through the dispatcher that this machine has registered, and takes an emulator that it has
        registered as it is; C(emulated) emulates all of them. C(auto) takes the first of these that there is.
    type: str
    choices: [auto, private, host, emulated]
    default: auto
  state:
    description: The tree is there.
    type: str
    choices: [present]
    default: present
  cache_key:
    description:
      - The digest of the code that makes trees. With it, and with O(build), the tree is kept for later builds, and one
        that an earlier build kept is taken where all that shapes it is the same; it is unpacked when it is needed.
    type: str
  build:
    description:
      - Folder of the running build, with its log, progress and ledger. Apt's indices and settings lie there too, for
        later steps. Without it, they lie beside the tree, in a folder of the same name that ends in C(.work).
    type: path
"""

EXAMPLES = r"""
- name: Make a minimal tree of trixie
  debootstrap:
    root: /var/tmp/trixie
    suite: trixie

- name: Make a tree with further packages from a given mirror
  debootstrap:
    root: /var/tmp/sid
    suite: sid
    bootstrapper:
      tool: debootstrap
      include_packages: [ca-certificates]
    image_apt:
      mirror: http://mirror.example/debian
      components: [main, contrib]
"""

RETURN = r"""
root:
  description: The folder of the tree.
  returned: always
  type: str
suite:
  description: The suite as asked for.
  returned: always
  type: str
codename:
  description: The suite's codename, from the mirror; empty in check mode.
  returned: always
  type: str
tool:
  description: What made it; C(tarball) where a kept tree was unpacked, C(earlier tree) where it began with O(source).
  returned: always
  type: str
tool_version:
  description: The version of the bootstrap tool.
  returned: always
  type: str
seconds:
  description: How long it took.
  returned: always
  type: float
foreign:
  description: How programs of the tree are run, where they are of another architecture; else empty.
  returned: success, and not in check mode
  type: str
  sample: native tools, by a registration of the build's own
packages:
  description: How many packages are installed in the tree.
  returned: always
  type: int
"""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debfleet import journal
from ansible.module_utils.debfleet.architectures import architecture, host
from ansible.module_utils.debfleet.bases.fingerprint import of_path
from ansible.module_utils.debfleet.bases.lineage import Lineage
from ansible.module_utils.debfleet.bases.packing import digest
from ansible.module_utils.debfleet.bootstrap import apt, image, mirror, tree
from ansible.module_utils.debfleet.bootstrap.image import ImageApt
from ansible.module_utils.debfleet.bootstrap.prepare import Ready, prepare
from ansible.module_utils.debfleet.bootstrap.tree import How
from ansible.module_utils.debfleet.bootstrap.variant import Tree
from ansible.module_utils.debfleet.errors import DebfleetError
from ansible.module_utils.debfleet.foreign import decide
from ansible.module_utils.debfleet.inspect import copying
from ansible.module_utils.debfleet.run import raise_on_signals, run

INSTALLED = ("install", "install_standard")  # of image_apt: no part of the tree that is made here


@dataclass(frozen=True)
class Params:
    """The module's options."""

    root: Path
    suite: str
    architecture: str | None
    bootstrapper: dict[str, Any]
    image_apt: dict[str, Any]
    source: str | None
    recommends: bool
    proxy: str
    foreign: str
    state: str
    cache_key: str | None
    build: str | None

    @property
    def folder(self) -> Path:
        """Where apt's corner lies."""
        return Path(self.build) if self.build else self.root.with_name(f"{self.root.name}.work")


def desired(params: Params) -> tuple[Tree, How]:
    """The tree that is asked for, and how it is to be made."""
    wish = params.bootstrapper
    wanted = Tree(
        root=params.root,
        suite=params.suite,
        architecture=params.architecture or run(["dpkg", "--print-architecture"]).stdout.strip(),
        variant=wish.get("variant") or "minbase",
        include=tuple(wish.get("include_packages") or ()),
        exclude=tuple(wish.get("exclude_packages") or ()),
        components=tuple(params.image_apt.get("components") or ("main",)),
    )
    how = How(
        tool=wish.get("tool") or "mmdebstrap",
        no_check=bool(wish.get("no-check-gpg")),
        force_check=bool(wish.get("force-check-gpg")),
        tarball=wish.get("tarball"),
    )
    return wanted, how


def read_current(params: Params, wanted: Tree, how: How) -> tuple[Ready, bool]:
    """apt made ready, and whether the tree is there already."""
    params.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    declared = ImageApt.of(params.image_apt)
    wish = mirror.wish_of(params.bootstrapper, params.image_apt, params.suite, params.proxy)
    ready = prepare(params.folder, wish, wanted.architecture, declared, recommends=params.recommends)
    return ready, tree.is_made(wanted, tree.digest(wanted, how, ready.apt), ready.apt.folder)


def see_to_programs(params: Params, wanted: Tree, ready: Ready) -> str:
    """Have a tree of another architecture run its programs. Returns how, in words; empty for this machine's."""
    row = architecture(wanted.architecture)
    wish = mirror.wish_of(params.bootstrapper, params.image_apt, params.suite, params.proxy)
    native = partial(prepare, wish=wish, architecture=host().name, declared=ImageApt.of(params.image_apt), cache=True)
    return decide.prepare(
        row, decide.Wish(params.folder, ready.indices.codename, params.foreign, ready.apt, lambda at: native(at).apt)
    )


def parts(params: Params, wanted: Tree, how: How, ready: Ready) -> dict[str, Any]:
    """All that shapes the tree, by name."""
    declared = ImageApt.of(params.image_apt)
    files = [*map(Path, declared.keys), *([Path(how.tarball)] if isinstance(how.tarball, str) else [])]
    return {
        **tree.parts(wanted, how, ready.apt),
        "image's apt": [f"{key}={value}" for key, value in sorted(params.image_apt.items()) if key not in INSTALLED],
        "image's sources": [source.line() for source in ready.mirrors.image],
        "files": [digest(path) for path in files],
        "earlier tree": of_path(Path(params.source)) if params.source else "",
        "recommends": params.recommends,
        "debfleet's code": params.cache_key,
    }


def apply(params: Params, wanted: Tree, how: How, ready: Ready) -> str:
    """Make the tree, and write the image's apt configuration into it. Returns what made it."""
    earlier = None
    if params.source:
        known = {"codename": ready.indices.codename, "architecture": wanted.architecture}
        scratch = Path(params.build) if params.build else None
        earlier = partial(copying.copy, Path(params.source), wanted.root, **known, scratch=scratch)
    made = tree.make(wanted, how, ready.apt, earlier)
    sources = ready.mirrors.image
    declared = ImageApt.of(params.image_apt)
    declared = declared.with_mirror(sources[0].uri) if sources else declared
    image.write(wanted.root, declared, sources, ready.indices.pockets)
    tree.finish(wanted, how, ready.apt)
    return made


def bring_about(params: Params, wanted: Tree, how: How, ready: Ready, there: bool) -> dict[str, Any]:
    """Have the tree: as it is, or taken from an earlier build, or made. Returns what made it, and its packages."""
    make = partial(apply, params, wanted, how, ready)
    if params.cache_key and params.build:
        lineage = Lineage.begin(Path(params.build), wanted.root, params.cache_key)
        shape = parts(params, wanted, how, ready)
        return {"packages": lineage.step("bootstrap", shape, make, partial(apt.count, wanted.root)).packages}
    made = {} if there else {"tool": make()}
    return {**made, "packages": apt.count(wanted.root)}


def main() -> None:
    """Run the module."""
    raise_on_signals()
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "suite": {"type": "str", "required": True},
            "architecture": {"type": "str"},
            "bootstrapper": {"type": "dict", "default": {}},
            "image_apt": {"type": "dict", "default": {}},
            "source": {"type": "path"},
            "recommends": {"type": "bool", "default": False},
            "proxy": {"type": "str", "default": "", "no_log": True},
            "foreign": {"type": "str", "choices": ["auto", "private", "host", "emulated"], "default": "auto"},
            "state": {"type": "str", "choices": ["present"], "default": "present"},
            "cache_key": {"type": "str", "no_log": False},
            "build": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = Params(**{**module.params, "root": Path(module.params["root"])})
    start = time.monotonic()
    result: dict[str, Any] = {"root": str(params.root), "suite": params.suite, "codename": "", "packages": 0}
    try:
        with journal.writing(params.build, mirror.credentials(params.proxy)):
            wanted, how = desired(params)
            result.update(tool=how.tool, tool_version=tree.version(how.tool))
            ready, there = read_current(params, wanted, how)
            result.update(codename=ready.indices.codename, changed=not there)
            if not module.check_mode:
                result.update(foreign=see_to_programs(params, wanted, ready))
                result.update(bring_about(params, wanted, how, ready, there))
            elif there:
                result["packages"] = apt.count(wanted.root)
    except (DebfleetError, OSError) as error:
        module.fail_json(msg=f"could not make the tree of {params.suite}", exception=error)
    module.exit_json(**result, seconds=round(time.monotonic() - start, 2))


if __name__ == "__main__":
    main()
