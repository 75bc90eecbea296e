# SPDX-License-Identifier: GPL-3.0-or-later
"""How a build's tree came to be, step by step, so that steps that an earlier build took need not be taken again.

A step's key is made of the key before it and of all that shapes the step. A step whose result is kept is only noted:
the tree stays empty until somebody needs it, and is then unpacked from the last step's base. What changes the tree
without being a step ends its lineage: nothing after it is kept or taken.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import journal
from ..errors import DebfleetError
from ..mounts import empty
from . import ahead
from .fingerprint import of_parts
from .stamp import Stamp
from .store import Base, DamagedError, Store, differences

NOTE = "lineage.json"  # in the work folder
REUSE = "reuse.jsonl"  # in the work folder: what each step reused, or why it didn't, for the build's summary


@dataclass(frozen=True)
class Lineage:
    """Where the tree of a build stands.

    :param key: the last step's; "" when what the tree is can't be told by a key any more.
    :param here: whether the tree is really in its folder; else it waits in the store, under its key.
    :param packages: how many packages it had after the last step.
    """

    build: Path
    root: Path
    key: str
    here: bool = True
    packages: int = 0

    @classmethod
    def begin(cls, build: Path, root: Path, code: str) -> Lineage:
        """The lineage of a tree that is still empty.

        :param code: the digest of the code that makes trees: other code may make other trees.
        """
        return cls(build, root, hashlib.sha256(code.encode()).hexdigest())._save()

    @classmethod
    def of(cls, build: str | Path | None) -> Lineage | None:
        """That of a running build; None for a build that keeps nothing, and outside of builds."""
        try:
            written = json.loads((Path(build or "/nonexistent") / NOTE).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return cls(Path(written["build"]), Path(written["root"]), written["key"], written["here"], written["packages"])

    def step(
        self,
        name: str,
        parts: Mapping[str, Any],
        make: Callable[[], object],
        count: Callable[[], int],
        *,
        keep: bool = True,
        soon: bool = False,
    ) -> Lineage:
        """Take a step: note it where its result is kept, else make it and keep it.

        :param parts: all that shapes the step, by name; lists of words are compared word by word when the build says
            why it was made anew.
        :param make: makes the step's changes in the tree.
        :param count: counts the packages of the tree.
        :param keep: whether the result is worth keeping; else it is made in each build.
        :param soon: whether the tree is needed after this step: a kept one is unpacked while the build goes on.
        :returns: where the tree stands then.
        """
        if not self.key:
            make()
            return replace(self, packages=count())._save()
        parts = json.loads(json.dumps(parts))  # as they are when they are read again
        key = of_parts([self.key, name, parts])
        if not keep:
            self.bring()
            make()
            return replace(self, key=key, here=True, packages=count())._save()
        store = Store.default()
        base, why = self._find(store, key)
        if base is None:
            with store.making(key):
                base, why = self._find(store, key, why)  # somebody may have made it while we waited
                if base is None:
                    return self._make(store, key, name, parts, make, count, why)
        if self.here:
            empty(self.root)
        tell(self.build, name, True, f"made {ago(base.made)} in {base.seconds:.0f} s")
        now = replace(self, key=key, here=False, packages=base.packages)._save()
        if soon:
            store.begin_unpacking(base, now._aside)
        return now

    def bring(self) -> Lineage:
        """Have the tree in its folder.

        :raises DebfleetError: when something was put there before, or the base is gone meanwhile.
        """
        if self.here:
            return self
        if any(self.root.iterdir()):
            raise DebfleetError(
                "something was written into the tree's folder before the tree was there",
                where=str(self.root),
                hint="ask for changes by image_change or delegate_to: image; or build with -e cache=off",
            )
        journal.tell("unpacking the kept tree")
        if ahead.begun(self._aside):
            ahead.wait(self._aside)
            self._aside.rename(self.root)  # an empty folder gives way
        else:
            self._unpack()
        Stamp.take(self.build, self.root, self.key)
        return replace(self, here=True)._save()

    def _unpack(self) -> None:
        store = Store.default()
        base = store.find(self.key)
        if base is None:
            raise DebfleetError("the kept tree that this build began with is gone", hint="build again: it is made anew")
        store.unpack(base, self.root)

    @property
    def _aside(self) -> Path:
        """Where a tree is unpacked while its folder may not be touched yet."""
        return self.root.with_name(f"{self.root.name}.{self.key[:16]}")

    def leave(self) -> None:
        """Have the tree in its folder, for a change that is no step: nothing after it is kept."""
        if self.key or not self.here:
            replace(self.bring(), key="")._save()

    def _find(self, store: Store, key: str, why: str = "") -> tuple[Base | None, str]:
        try:
            return store.find(key), why
        except DamagedError as error:
            journal.log(str(error))
            return None, "the kept tree was damaged"

    def _make(
        self,
        store: Store,
        key: str,
        name: str,
        parts: Mapping[str, Any],
        make: Callable[[], object],
        count: Callable[[], int],
        why: str,
    ) -> Lineage:
        near = None if why else store.nearest(name, parts)
        changed = differences(near.parts, parts) if near else []
        why = why or (f"differs from before: {', '.join(changed) or 'an earlier step'}" if near else "not kept before")
        self.bring()
        start = time.monotonic()
        make()
        now = replace(self, key=key, here=True, packages=count())._save()
        Stamp.take(self.build, self.root, key)
        tell(self.build, name, False, why)
        try:
            journal.tell("keeping the tree for later builds")
            store.keep(key, name, parts, self.root, packages=now.packages, seconds=time.monotonic() - start)
        except (DebfleetError, OSError) as error:
            journal.log(f"the tree could not be kept for later builds: {error}")
        return now

    def _save(self) -> Lineage:
        written = {**asdict(self), "build": str(self.build), "root": str(self.root)}
        new = self.build / f"{NOTE}.new"
        new.write_text(json.dumps(written), encoding="utf-8")
        new.replace(self.build / NOTE)
        return self


def tell(build: Path, name: str, reused: bool, told: str) -> None:
    """Write down what a step reused, or why it didn't, for the log and the build's summary."""
    journal.log(f"{name}: {'reused' if reused else 'made anew'}, {told}")
    journal.record(REUSE, {"step": name, "reused": reused, "told": told, "time": time.time()})


def ago(then: float) -> str:
    """`3 minutes ago`."""
    seconds = max(0.0, time.time() - then)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
