# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes, as manifests write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debfleet.common.sizes import UNITS, Bytes, Percent, Remaining, in_bytes, parse, shown


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS)))
def test_digits_and_a_unit(count: int, unit: str) -> None:
    assert parse(f"{count}{unit}") == Bytes(count * UNITS[unit])


def test_shares_and_the_rest() -> None:
    assert parse("40%") == Percent(40)
    assert parse("100%") == Percent(100)
    assert parse("remaining") == Remaining()


@pytest.mark.parametrize("text", ["", "1", "G", "1.5GiB", "-1GiB", "1 GiB", "0%", "101%", "10Gib", "1GiB\n", "all"])
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="write digits and a unit"):
        parse(text)


@given(st.text())
def test_no_text_gives_anything_but_a_size_or_a_value_error(text: str) -> None:
    try:
        parse(text)
    except ValueError:
        return


def test_a_fixed_size_is_no_share() -> None:
    with pytest.raises(ValueError, match="no fixed size"):
        in_bytes("40%")


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")]
)
def test_sizes_for_a_reader(count: int, text: str) -> None:
    assert shown(count) == text
