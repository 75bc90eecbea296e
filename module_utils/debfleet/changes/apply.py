# SPDX-License-Identifier: GPL-3.0-or-later
"""Making all changes that the tasks of a phase asked for, in the order in which they asked."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from .. import journal
from ..errors import DebfleetError
from .request import Request, Tree
from .table import KINDS


def merged(requests: Iterable[Request]) -> list[Request]:
    """Requests for packages that follow each other become one, so that apt runs once; the others stay as they are."""
    result: list[Request] = []
    for kind, group in groupby(requests, key=lambda request: request.kind):
        together = list(group)
        if kind == "packages" and len(together) > 1:
            names = list(dict.fromkeys(name for request in together for name in request.value))
            asked = "; ".join(request.asker for request in together)
            together = [Request(role="packages", task=asked, kind=kind, value=names)]
        result += together
    return result


def apply(tree: Tree, requests: Iterable[Request]) -> int:
    """Make the changes; returns how many. Raises DebfleetError, its `where` the task that asked, at the first that
    can't be made.
    """
    wanted = merged(requests)
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
