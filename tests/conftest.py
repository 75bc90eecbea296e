# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests stand on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "library")]  # `import debootstrap` in a test is library/debootstrap.py


def _lend_module_utils() -> None:
    """Let modules import ansible.module_utils.debfleet, as Ansible does when it packs them."""
    import ansible.module_utils

    folder = str(ROOT / "module_utils")
    if folder not in ansible.module_utils.__path__:
        ansible.module_utils.__path__.append(folder)


_lend_module_utils()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no core idles at the end; a file's tests stay together and in order."""
    slow = {item.path for item in _marked(items, "slow")}
    items.sort(key=lambda item: (item.path not in slow, "unit" in item.path.parts))
    if os.geteuid() != 0:
        for item in _marked(items, "root"):
            item.add_marker(pytest.mark.skip(reason="needs root"))


def _marked(items: Iterable[pytest.Item], name: str) -> Iterable[pytest.Item]:
    return (item for item in items if item.get_closest_marker(name))


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Signals are handled after each test as before it: what runs a command of ours in this process changes that."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def repo() -> Path:
    """The clone's root folder."""
    return ROOT
