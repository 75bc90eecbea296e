# SPDX-License-Identifier: GPL-3.0-or-later
"""What the prompt tells of a manifest as JSON, against its schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from manifest_tools import check_data, good

from debfleet import house
from debfleet.common.manifest.plan import plan


def validated(name: str, told: Any) -> None:
    schema = json.loads((house.schemas() / name).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(json.dumps(told)))


@pytest.mark.parametrize("changes", [{}, {"name": "x-{nothing}", "sytem": 1}, {"system": {"release": 3}}])
def test_a_check_is_as_its_schema_has_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    checked = check_data(tmp_path, good(**changes))
    assert bool(checked.errors) == bool(changes)
    validated("manifest-check.json", checked.to_dict())


def test_a_plan_is_as_its_schema_has_it(tmp_path: Path) -> None:
    validated("manifest-plan.json", plan(check_data(tmp_path, good())).to_dict())
