# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing faster functions for an image's initramfs-tools: by their text, so that no other is ever replaced. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .functions import KNOWN, PREAMBLE, Faster


@dataclass(frozen=True)
class Choice:
    """The functions to generate an initramfs with.

    :param text: the file of functions; as the image has it where none is faster.
    :param faster: the names of those that are; `stock` of those that have an unknown text and stay as they are.
    """

    text: str
    faster: tuple[str, ...] = ()
    stock: tuple[str, ...] = ()

    def told(self) -> str:
        """It in words, for the log."""
        words = [f"faster for this build: {', '.join(self.faster)}"] if self.faster else []
        if self.stock:
            words.append(f"as the image has them, for they are of a version not checked with: {', '.join(self.stock)}")
        return "initramfs-tools' functions " + "; ".join(words or ["as the image has them"])


def choose(stock: str, known: Mapping[str, Mapping[str, Faster | None]] = KNOWN) -> Choice:
    """Put faster functions into the text of an image's hook-functions, wherever it has a text that is known."""
    text, faster, unknown = stock, [], []
    for name, texts in known.items():
        found = re.search(rf"^{name}\(\)[ \t]*\n?\{{\n.*?^\}}$", stock, re.M | re.S)
        if found is None:
            continue
        digest = hashlib.sha256(found[0].encode()).hexdigest()
        if digest not in texts:
            unknown.append(name)
        elif (way := texts[digest]) is not None:
            text = text.replace(found[0], way.whole or _edited(found[0], way))
            faster.append(name)
    return Choice(PREAMBLE + text if faster else stock, tuple(faster), tuple(unknown))


def _edited(text: str, way: Faster) -> str:
    for old, new in way.replaced:
        if old not in text:
            raise ValueError(f"a function of a known text lacks {old!r}")
        text = text.replace(old, new)
    return text
