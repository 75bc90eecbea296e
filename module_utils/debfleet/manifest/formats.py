# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats that a schema can name besides JSON Schema's own: what reaches a shell, a path or a file of the image."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ZONES = Path("/usr/share/zoneinfo")
SUPPORTED = Path("/usr/share/i18n/SUPPORTED")  # of the package locales, where the builder has it
CHARMAPS = (
    "UTF-8", "ISO-8859-1", "ISO-8859-2", "ISO-8859-3", "ISO-8859-5", "ISO-8859-6", "ISO-8859-7", "ISO-8859-8",
    "ISO-8859-9", "ISO-8859-10", "ISO-8859-13", "ISO-8859-14", "ISO-8859-15", "ISO-8859-16", "KOI8-R", "KOI8-U",
    "KOI8-T", "CP1251", "CP1255", "EUC-JP", "EUC-KR", "EUC-TW", "GB2312", "GBK", "GB18030", "BIG5", "BIG5-HKSCS",
    "TIS-620", "TCVN5712-1", "GEORGIAN-PS", "ARMSCII-8", "PT154", "RK1048",
)  # fmt: skip
ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}\Z")
LOCALE = re.compile(r"([a-z]{2,3}_[A-Z]{2}|C|POSIX|eo)(\.[A-Za-z0-9-]+)?(@[a-z]+)?\Z")
VERSION = r"(?:[0-9]+:)?[0-9][A-Za-z0-9.+~-]*"
NAME = r"[a-z0-9][a-z0-9.+-]+(?::[a-z0-9]+)?"
PACKAGE = re.compile(rf"{NAME}(?:/[a-z][a-z0-9.+-]*|={VERSION})?\Z")
PATH = re.compile(r"[^\x00-\x1f\x7f]+\.deb\Z")
APT_LINE = re.compile(
    r"deb(-src)?[ \t]+(\[[A-Za-z0-9=,+_./: \t@-]*\][ \t]+)?"  # the type and its options
    r"(\{apt_mirror\}|[a-z+]+:/{0,3})[^\s\[\]'\"`\\$;|<>@]*[ \t]+"  # the address, without a password
    r"(\./|[A-Za-z0-9./_+~{}%-]*/|[A-Za-z0-9./_+~{}%-]+([ \t]+[a-z0-9][A-Za-z0-9./_+-]*)+)[ \t]*\Z"
)
SELECTION_TYPES = "string|boolean|select|multiselect|note|text|password|error|title|seen"
SELECTION = re.compile(rf"\s*(#.*)?\Z|\s*[^\s#]\S*[ \t]+\S+[ \t]+({SELECTION_TYPES})([ \t].*)?\Z")


@cache
def zones() -> frozenset[str]:
    """The names of the time zone database: the system's, or the one Python brings; empty where there is neither."""
    try:
        listed = (ZONES / "tzdata.zi").read_text(encoding="ascii", errors="replace").splitlines()
        names = {line.split()[1] for line in listed if line.startswith("Z ")}
        return frozenset(names | {line.split()[2] for line in listed if line.startswith("L ")})
    except (OSError, IndexError):
        from zoneinfo import available_timezones

        return frozenset(available_timezones())


@cache
def locales() -> frozenset[str]:
    """The names of glibc's locales without their charmap, as the builder knows them; empty where it doesn't."""
    try:
        lines = SUPPORTED.read_text(encoding="utf-8").split("\n")
    except OSError:
        return frozenset()
    return frozenset(re.sub(r"\.[^@]*", "", line.split()[0]) for line in lines if line.strip())


def is_timezone(word: str) -> bool:
    """Whether it is a time zone of the database, or could be where no database is at hand."""
    return bool(ZONE.match(word)) and (not zones() or word in zones() or word in ("UTC", "Etc/UTC"))


def is_locale(word: str) -> bool:
    """Whether glibc has this locale: en_US, en_US.UTF-8, ca_ES@valencia, C."""
    if not LOCALE.match(word):
        return False
    bare = re.sub(r"\.[^@]*", "", word)
    return bare in ("C", "POSIX") or not locales() or bare in locales()


def is_package(word: str) -> bool:
    """Whether it names a package, with /suite or =version, or is the path of a .deb."""
    return bool(PACKAGE.match(word) or PATH.match(word))


def is_apt_line(word: str) -> bool:
    """Whether it is one line of a sources.list."""
    return bool(APT_LINE.match(word))


def is_selections(text: str) -> bool:
    """Whether each line is an answer as debconf-set-selections reads it; one that ends in a backslash goes on."""
    lines = text.replace("\\\n", " ").splitlines()
    return all(SELECTION.match(line) for line in lines) and any(line.split("#")[0].strip() for line in lines)


@dataclass(frozen=True)
class Format:
    """A check, and what it allows: in words, and the words themselves where they can be listed."""

    ok: Callable[[str], bool]
    allowed: str
    known: Callable[[], frozenset[str]] = lambda: frozenset()


FORMATS = {
    "timezone": Format(is_timezone, "a name of the time zone database, as Europe/Berlin", zones),
    "locale": Format(is_locale, "a locale that glibc has, as en_US or de_DE.UTF-8", locales),
    "charmap": Format(lambda word: word in CHARMAPS, "a character map that glibc has", lambda: frozenset(CHARMAPS)),
    "package": Format(is_package, "a package name, name/suite, name=version, or the path of a local .deb"),
    "debconf-answer": Format(is_selections, "lines of OWNER QUESTION TYPE VALUE, as `tzdata tzdata/Areas select Etc`"),
    "apt-line": Format(is_apt_line, "deb or deb-src, [options], an address without password, a suite, components"),
}
