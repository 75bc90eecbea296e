# SPDX-License-Identifier: GPL-3.0-or-later
"""What the generators of pages share: writing a page of docs/, or saying whether it is current."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from debfleet import house


def main(name: str, path: Path, page: Callable[[], str], source: str, description: str | None) -> int:
    """Write the page, or with --check say whether it is current. Returns the exit code.

    :param name: the generator's, as `manifest` of debfleet.docs.manifest.
    :param path: the page's, in the house.
    :param source: what the page is made of, in a word.
    """
    command = f"python -m debfleet.docs.{name}"
    parser = argparse.ArgumentParser(prog=command, description=description)
    parser.add_argument("--check", action="store_true", help="only say whether the page is current")
    target = house.root() / path
    if not parser.parse_args().check:
        target.write_text(page(), encoding="utf-8")
        return 0
    if target.exists() and target.read_text(encoding="utf-8") == page():
        return 0
    print(f"{path} is not what the {source} say: {command}", file=sys.stderr)
    return 1
