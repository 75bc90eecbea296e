# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/inspection.md, from the docstrings of the checks: `python -m debfleet.docs.inspection`."""

from __future__ import annotations

import inspect
import sys

from debfleet.common.inspect.inspection import DISK, TREE

HEAD = """\
<!-- SPDX-License-Identifier: GPL-3.0-or-later
     Made from the checks by `python -m debfleet.docs.inspection > docs/inspection.md`. -->

# Inspecting an image

`debfleet image inspect [--json] PATH` reads a finished image without changing it, whatever tool made it. PATH is a
folder that a build left, an image file of any format that qemu-img reads, or a root tree. Where a `manifest.json` lies
beside the image, what it asks for (an account with a password, a mirror, a copied file) is no finding.

Every build runs the same checks before its image is published, and a finding fails it. What can't be read (an unknown
or encrypted or broken filesystem, a missing checker) is said as unread and fails as well: it is never taken for clean.
Exit code 0 means that all was read and nothing found, 1 that something was found or not read, 2 wrong usage, 3 that a
tool or a right is missing (mounting, read only and in a private namespace, needs root; others read ext
filesystems: [unprivileged.md](unprivileged.md)), 4 that there is no such image.

Not looked at are blocks that belong to no file (what a deleted file leaves), the contents of swap, and settings of
programs that debfleet doesn't know.

| check | what must hold | what is looked at |
|---|---|---|
| disk | Every partition is recognised and can be read; one of them has the root filesystem. | The partition table, \
and what blkid recognises in each partition. |
"""


def markdown() -> str:
    """The text of docs/inspection.md."""
    rows = []
    for name, check in {**DISK, **TREE}.items():
        module = inspect.getmodule(check)
        promise = " ".join((module.__doc__ or "").split()) if module else ""
        rows.append(f"| {name} | {promise} | {' '.join((check.__doc__ or '').split())} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(markdown())
