# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether tools are of the versions that an image has: the same source, built for whichever architecture. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from . import table

REBUILT = re.compile(r"\+b\d+$")


def source(version: str) -> str:
    """A version without what tells that the archive has built it once more for one architecture."""
    return REBUILT.sub("", version)


def same(one: str, other: str) -> bool:
    """Whether two versions are of the same source."""
    return source(one) == source(other)


@dataclass(frozen=True)
class Verdict:
    """What of the tools may be taken for an image: the packages that are refused, each with why; `whole` when all."""

    refused: Mapping[str, str]
    whole: bool = False


def compare(tools: Mapping[str, str], image: Mapping[str, str]) -> Verdict:
    """Compare the versions of tools with those of an image. A package that the image hasn't is none to refuse."""
    refused = {
        name: f"{version}, the image has {image[name]}"
        for name, version in sorted(tools.items())
        if name in image and not same(version, image[name])
    }
    modules = [name for name in refused if name in table.PERL_MODULES]
    if modules:  # a perl that can't load what the image has is of no use
        refused |= {name: f"goes with {modules[0]}" for name in table.PERL if name in tools}
        return Verdict(refused, any(name in refused for name in table.ESSENTIAL if name not in table.PERL))
    return Verdict(refused, any(name in refused for name in table.ESSENTIAL))


def covers(tools: Mapping[str, str], image: Mapping[str, str]) -> bool:
    """Whether tools are all of the versions that an image can have: others need not be looked for then."""
    return all(same(tools[name], image[name]) for name in tools if name in image) and bool(tools)
