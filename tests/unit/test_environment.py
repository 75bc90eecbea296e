# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Python that runs Ansible lacks, told in words."""

from __future__ import annotations

from importlib import metadata

import pytest

from debfleet.common.errors import MissingError
from debfleet.controller import environment


def test_this_one_lacks_nothing() -> None:
    assert environment.problems() == []
    environment.require()


def test_it_asks_for_what_the_extra_has() -> None:
    names = dict(environment.required())
    assert {"ansible-core", "jsonschema", "libvirt-python"} <= set(names)
    assert names["ansible-core"] == "2.19"
    assert "ruff" not in names


def test_an_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.sys, "version_info", (3, 11, 7))
    (problem,) = environment.problems()
    assert "3.12 or later is needed" in problem


def test_old_and_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    have = metadata.version

    def version(name: str) -> str:
        if name == "jsonschema":
            raise metadata.PackageNotFoundError(name)
        return "2.18.6" if name == "ansible-core" else have(name)

    monkeypatch.setattr(metadata, "version", version)
    assert environment.problems() == [
        "ansible-core is 2.18.6, and 2.19 or later is needed",
        "jsonschema is not installed",
    ]
    with pytest.raises(MissingError) as error:
        environment.require()
    assert environment.sys.executable in str(error.value)
    assert "make setup" in str(error.value)


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("2.19", (2, 19)), ("2.19.0rc1", (2, 19, 0)), ("9.0.post1", (9, 0)), ("26.10.1+x", (26, 10, 1)), ("x", ())],
)
def test_numbers_of_a_version(version: str, numbers: tuple[int, ...]) -> None:
    assert environment.numbers(version) == numbers
