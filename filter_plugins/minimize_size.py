# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the plugin minimize_size, as dpkg and apt take them, and what it saved, for a reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from debfleet.common.sizes import shown

DOCUMENTATION = """
name: dpkg_path_filter
short_description: Paths that dpkg shall leave out, as image_change takes them
description:
  - Turns the settings C(dpkg) of the plugin minimize_size into a C(path_filter).
  - A second filter, C(small_apt_conf), turns its settings C(apt) into lines of apt.conf.
  - A third, C(savings_lines), tells what metadata.json has as C(savings), a line a measure.
options:
  _input:
    description: The settings.
    type: dict
    required: true
author: debfleet (@debfleet)
"""

EXAMPLES = """
- image_change:
    path_filter: "{{ {'locales': ['de_AT'], 'exclude_docs': true} | dpkg_path_filter }}"
"""

RETURN = """
_value:
  description: C(name), C(exclude) and C(include).
  type: dict
"""

NAME = "60minimize-size"
DOCS = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/groff/*", "/usr/share/lintian/*"]
KEPT_DOCS = ["/usr/share/doc/*/copyright", "/usr/share/man/man[1-9]"]  # packages put links into the latter
LOCALES = ["/usr/share/locale/*", "/usr/share/man/[a-z][a-z]*/*"]
KEPT_LOCALES = ["/usr/share/locale/locale.alias", "/usr/share/man/man[1-9]/*"]
LOCALE = re.compile(r"(?P<language>[A-Za-z]+)(?P<country>_[A-Za-z]+)?(?:\.[^@]*)?(?P<modifier>@[A-Za-z]+)?")


def names(locale: str) -> list[str]:
    """The folders that hold a locale's translations: de_AT.UTF-8@euro has de, de_AT, de@euro and de_AT@euro."""
    match = LOCALE.match(locale)
    if match is None:
        return [locale]
    language, country, modifier = match["language"], match["country"] or "", match["modifier"] or ""
    return list(dict.fromkeys([language, language + country, language + modifier, language + country + modifier]))


def path_filter(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The patterns that are left out, and those of them that stay."""
    exclude: list[str] = []
    include: list[str] = []
    locales: Sequence[str] | None = settings.get("locales")
    docs = bool(settings.get("exclude_docs"))
    if docs:
        exclude += DOCS
        include += KEPT_DOCS
    if locales is not None:
        kept = list(dict.fromkeys(name for locale in locales for name in names(locale)))
        exclude += LOCALES[:1] if docs else LOCALES
        include += KEPT_LOCALES[:1] if docs else KEPT_LOCALES
        include += [f"/usr/share/locale/{name}/*" for name in kept]
        include += [] if docs else [f"/usr/share/man/{name}/*" for name in kept]
    return {"name": NAME, "exclude": exclude, "include": include}


def apt_conf(settings: Mapping[str, Any]) -> list[str]:
    """Lines of apt.conf."""
    lines = []
    if settings.get("autoclean"):
        lines += ['APT::Keep-Downloaded-Packages "false";', 'Dir::Cache::pkgcache "";', 'Dir::Cache::srcpkgcache "";']
    if languages := settings.get("languages"):
        lines += ["Acquire::Languages { " + " ".join(f'"{language}";' for language in languages) + " };"]
    if settings.get("gzip_indexes"):
        lines += ['Acquire::GzipIndexes "true";', 'Acquire::CompressionTypes::Order:: "gz";']
    if settings.get("autoremove_suggests"):
        lines += ['APT::AutoRemove::SuggestsImportant "false";']
    return lines


def savings_lines(savings: Mapping[str, Mapping[str, int]]) -> list[str]:
    """`minimize_size: dpkg 412 MiB -> 353 MiB (59 MiB less)` and so on."""
    return [
        f"minimize_size: {measure} {shown(sizes['before'])} -> {shown(sizes['after'])} "
        f"({shown(sizes['before'] - sizes['after'])} less)"
        for measure, sizes in savings.items()
    ]


class FilterModule:
    """The filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name and function of each."""
        return {"dpkg_path_filter": path_filter, "small_apt_conf": apt_conf, "savings_lines": savings_lines}
