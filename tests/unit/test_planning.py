# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a build that are decided before anything is touched."""

from __future__ import annotations

from typing import Any

import pytest

from debfleet.controller.planning import apt_proxy

AT: dict[str, Any] = {"address": "10.0.0.1", "port": 3142, "username": None}


@pytest.mark.parametrize(
    ("settings", "password", "address"),
    [
        (None, "", ""),
        (AT, "", "http://10.0.0.1:3142"),
        ({**AT, "username": "ann"}, "", "http://ann@10.0.0.1:3142"),
        ({**AT, "username": "ann"}, 'p@ss:"w/ü', "http://ann:p%40ss%3A%22w%2F%C3%BC@10.0.0.1:3142"),
        ({**AT, "address": "fd00::1"}, "", "http://[fd00::1]:3142"),
    ],
)
def test_the_address_of_apts_proxy(settings: dict[str, Any] | None, password: str, address: str) -> None:
    assert apt_proxy(settings, password) == address
