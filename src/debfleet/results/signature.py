# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures: the same failure of two runs has the same, whatever the machine, the folder, the time and the numbers."""

from __future__ import annotations

import hashlib
import re

from .text import clean

LONGEST = 200  # characters of a normalised line
ADDRESS = "URL"
# In this order. What stands for something is written in capitals, and is left alone by all others.
RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile("[‘’`´]"), "'"),
    (re.compile("[“”]"), '"'),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]*"), ADDRESS),
    # Days and months, as in a date.
    (re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? (?=\w{3} |\d)"), ""),
    (re.compile(r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (?=[ \d]?\d\b)"), ""),
    (re.compile(r"(?<=\d )(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (?=\d{4}\b)"), ""),
    # Temporary files of compilers and others.
    (re.compile(r"(?:/[\w.+~-]+)*/tmp/[\w.+~/-]*\b"), "TMP"),
    (re.compile(r"\bcc[A-Za-z0-9]{6}(?=\.(?:o|s|ltrans|res)\b)"), "TMP"),
    # Of a path its last name.
    (re.compile(r"(?:<<[A-Z]+>>|\.{1,2}|~|[\w.+~@-]+)?(?:/+(?:<<[A-Z]+>>|[\w.+~@-]+))*/+(?=[\w.+~@-])"), ""),
    (re.compile(r"<<[A-Z]+>>/?"), "DIR"),
    # Hashes, addresses, identifiers.
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "ID"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "N"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,}\b"), "ID"),
    # Numbers, also as times and versions.
    (re.compile(r"\d+(?:[.:,]\d+)*"), "N"),
    (re.compile(r"\s+"), " "),
)


def normalised(line: str) -> str:
    """A line without paths, numbers, hashes and times."""
    text = clean(line)[: 4 * LONGEST]
    for pattern, instead in RULES:
        text = pattern.sub(instead, text)
    return text.strip()[:LONGEST].rstrip()


def signature(stage: str, category: str, line: str) -> str:
    """The short form of a stage, a class and a normalised line: twelve hexadecimal digits."""
    return hashlib.sha256("\0".join((stage, category, line)).encode(errors="replace")).hexdigest()[:12]
