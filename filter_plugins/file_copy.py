# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the plugin file_copy, in those of image_change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DOCUMENTATION = """
name: file_copy_files
short_description: The files of the plugin file_copy, as image_change takes them
description:
  - Turns C(src), C(dst) and C(permissions) into C(source), C(path) and C(mode); C(owner) and C(group) stay.
  - A second filter, C(file_copy_folders), does the same for C(mkdirs) and its C(dir).
options:
  _input:
    description: The plugin's list.
    type: list
    elements: dict
    required: true
author: debfleet (@debfleet)
"""

EXAMPLES = """
- image_change:
    files: "{{ [{'src': '/srv/motd', 'dst': '/etc/motd', 'permissions': '0644'}] | file_copy_files }}"
"""

RETURN = """
_value:
  description: The list for image_change.
  type: list
  elements: dict
"""

WORDS = {"src": "source", "dst": "path", "dir": "path", "permissions": "mode", "owner": "owner", "group": "group"}


def translated(items: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each item with image_change's words; what is not set is left out."""
    return [{WORDS[word]: value for word, value in item.items() if value is not None} for item in items]


class FilterModule:
    """The filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name and function of each."""
        return {"file_copy_files": translated, "file_copy_folders": translated}
