# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages for a reader: name, version, and the size of their download."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from debfleet.common.sizes import shown

DOCUMENTATION = """
name: package_table
short_description: The packages of an image as a table
description:
  - A line for each package that C(image_packages) has found, with the sum in the last.
options:
  _input:
    description: What C(image_packages) returned.
    type: dict
    required: true
author: debfleet (@debfleet)
"""

EXAMPLES = """
- ansible.builtin.debug:
    msg: "{{ image_packages | package_table }}"
"""

RETURN = """
_value:
  description: The lines.
  type: list
  elements: str
"""


def package_table(found: Mapping[str, Any]) -> list[str]:
    """The lines of the table."""
    packages = sorted(found["packages"], key=lambda package: package["name"])
    name_width = max((len(package["name"]) for package in packages), default=0)
    version_width = max((len(package["version"]) for package in packages), default=0)
    lines = [
        f"{package['name']:{name_width}}  {package['version']:{version_width}}  {shown(package['download_size']):>10}"
        for package in packages
    ]
    size = f"{shown(found['download_size'])} to download, {shown(found['installed_size'])} installed"
    return [*lines, f"{len(packages)} packages, {size}"]


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Its name and function."""
        return {"package_table": package_table}
