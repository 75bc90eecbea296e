# SPDX-License-Identifier: GPL-3.0-or-later
"""Making all changes that the tasks of a phase asked for, in the order in which they asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby, takewhile
from typing import Any

from .. import journal
from ..bases import fingerprint
from ..bases.lineage import Lineage
from ..bootstrap import apt
from ..errors import DebfleetError
from .request import Request, Tree
from .table import KINDS

STEPS = ("os_installation", "package_installation")  # phases whose changes an earlier build may have made already
KEPT = "package_installation"  # the one after which the tree is kept


def merged(requests: Iterable[Request]) -> list[Request]:
    """Requests for packages that follow each other become one, so that apt runs once; the others stay as they are.

    What dpkg shall leave out comes first, whoever asks for it: it must know before it unpacks anything.
    """
    result: list[Request] = []
    ordered = sorted(requests, key=lambda request: request.kind != "path_filter")
    for kind, group in groupby(ordered, key=lambda request: request.kind):
        together = list(group)
        if kind == "packages" and len(together) > 1:
            names = list(dict.fromkeys(name for request in together for name in request.value))
            asked = "; ".join(request.asker for request in together)
            together = [Request(role="packages", task=asked, kind=kind, value=names)]
        result += together
    return result


def apply_phase(tree: Tree, phase: str, requests: Iterable[Request]) -> int:
    """Make the changes of a phase, or take the tree of an earlier build that made the same.

    Changes that always have the same result are a step of the tree's lineage, up to the first that has not.
    """
    wanted = merged(requests)
    lineage = Lineage.of(tree.build)
    if lineage is None:
        return apply(tree, wanted)
    same = list(takewhile(lambda one: KINDS[one.kind].repeatable, wanted)) if phase in STEPS else []
    if same:
        make, count = partial(apply, tree, same), partial(apt.count, tree.root)
        lineage = lineage.step(phase, parts(same), make, count, keep=phase == KEPT, soon=phase == KEPT)
    if rest := wanted[len(same) :]:
        lineage.leave()
        apply(tree, rest)
    return len(wanted)


def parts(requests: Sequence[Request]) -> dict[str, Any]:
    """All that shapes a tree when these changes are made in it, by name; the builder's files that they name, too."""
    packages = [name for one in requests if one.kind == "packages" for name in one.value]
    files = [item["source"] for one in requests if one.kind == "files" for item in one.value if "source" in item]
    files += [name for name in packages if apt.is_file(name)]
    others = [[one.kind, one.value] for one in requests if one.kind != "packages"]
    order = [one.kind for one in requests]
    return {"packages": sorted(packages), "changes": [order, others], "files": fingerprint.of_paths(files)}


def apply(tree: Tree, wanted: Sequence[Request]) -> int:
    """Make the changes; returns how many. Raises DebfleetError, its `where` the task that asked, at the first that
    can't be made.
    """
    for number, request in enumerate(wanted):
        journal.log(f"# {request.asker}")
        journal.tell(request.asker, number, len(wanted))
        try:
            KINDS[request.kind].check(request.value)
            KINDS[request.kind].make(tree, request.value)
        except DebfleetError as error:
            error.where = error.where or request.asker
            raise
        except (ValueError, OSError) as error:
            raise DebfleetError(
                f"could not change {request.kind} of the image", where=request.asker, why=str(error)
            ) from error
    return len(wanted)
