# SPDX-License-Identifier: GPL-3.0-or-later
"""apt made ready for a build: mirrors decided, keys and pins in place, indices got, once a build."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from .. import journal
from . import apt as apt_
from . import image, indices, kept_lists, mirror
from .apt import Apt
from .image import ImageApt
from .indices import Indices
from .mirror import Mirrors, Wish
from .tree import version

NOTE = "indices.json"
TRUSTED = Path("/etc/apt/trusted.gpg.d")


@dataclass(frozen=True)
class Ready:
    """apt with its indices, and the plan of mirrors it was made from."""

    indices: Indices
    mirrors: Mirrors

    @property
    def apt(self) -> Apt:
        """apt's corner of the build."""
        return self.indices.apt


def prepare(
    build: Path,
    wish: Wish,
    architecture: str,
    declared: ImageApt,
    *,
    recommends: bool = False,
    cache: bool = False,
    index: str = "Packages",
    pockets: bool = True,
) -> Ready:
    """Make apt ready in the build's folder; a second call with the same wish gets nothing again.

    :param recommends: whether recommended packages are installed too; not by default, as the older tool.
    :param cache: whether the indices begin as an earlier build left them, so that only what has changed is got.
    :param index: what is got: Packages, or Sources.
    :param pockets: whether the suite's updates and security pockets come along.
    :raises ResolveError: when a suite, component or architecture isn't on its mirror.
    :raises DebfleetError: when there is no mirror, or a key or source line of the manifest can't be read.
    """
    with ThreadPoolExecutor() as aside:  # the tool takes its time to answer, and is seldom asked where packages are
        default = aside.submit(mirror.tool_default, wish.suite, wish.components)
        aside.submit(version, wish.tool)  # asked for later
        builder = mirror.read_builder()
        known = wish.bootstrap_mirror or wish.mirror or builder.main(wish.suite)
        mirrors = mirror.plan(wish, builder, () if known else default.result())
        mirrors = mirrors if pockets else replace(mirrors, pockets=())
        got = _got(build, mirrors, wish, architecture, declared, index, recommends=recommends, cache=cache)
        return Ready(got, mirror.plan(wish, builder, default.result()))


def _got(
    build: Path,
    mirrors: Mirrors,
    wish: Wish,
    architecture: str,
    declared: ImageApt,
    index: str,
    *,
    recommends: bool,
    cache: bool,
) -> Indices:
    """The indices, in apt's corner of the build."""
    extra = declared.with_mirror(mirrors.needed.uri).repositories()
    apt = Apt(
        apt_.folder_of(build),
        architecture,
        wish.suite,
        settings=mirrors.held,
        recommends=recommends,
        own=mirrors.origin == "builder",
    )
    apt_.lay_out(apt)
    image.write_keys(apt.folder / "trusted.gpg.d", declared)
    image.write_preferences(apt.folder / "preferences.d", declared)
    _trust(apt.folder / "trusted.gpg.d", wish, mirrors)
    asked = [wish.suite, architecture, recommends, index, *apt.settings]
    asked += [source.line() for pocket in mirrors.pockets for source in pocket]
    asked += [mirrors.needed.line(), *(source.line() for source in extra)]
    known = _known(apt, asked)
    if known:
        return known
    for line in mirror.told(mirrors):
        journal.log(line)
    if cache:
        kept_lists.seed(apt, asked)
    got = indices.get(apt, mirrors, extra, index)
    if cache:
        kept_lists.keep(apt, asked)
    note = {"asked": asked, "codename": got.codename, "pockets": got.pockets}
    (apt.folder / NOTE).write_text(json.dumps(note), encoding="utf-8")
    return got


def _trust(folder: Path, wish: Wish, mirrors: Mirrors) -> None:
    """Trust what apt in the image will, for sources that name no key: the archive's keys and the manifest's.

    And, where this machine's own mirror is used and names no key either, what this machine's apt trusts.
    """
    keys = [Path(name) for name in (wish.keyring or str(mirror.KEYRING)).split(",")]
    if mirrors.origin == "builder" and not mirrors.needed.signed_by and TRUSTED.is_dir():
        keys += sorted(TRUSTED.iterdir())
    for key in keys:
        if key.exists():
            shutil.copyfile(key, folder / key.name)


def _known(apt: Apt, asked: list[object]) -> Indices | None:
    """The indices that an earlier step of this build got for the same sources."""
    try:
        note = json.loads((apt.folder / NOTE).read_text(encoding="utf-8"))
        stored = Apt.load(apt.folder.parent)
    except (FileNotFoundError, ValueError):
        return None
    if note["asked"] != asked:
        return None
    apt_.lay_out(stored)
    return Indices(stored, note["codename"], tuple(note["pockets"]))
