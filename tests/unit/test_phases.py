# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the roles that join a phase."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debfleet.common.phases import PHASES, OrderError, order


def test_there_are_eleven_phases_in_the_fixed_order() -> None:
    assert len(PHASES) == 11
    assert PHASES[0] == "preparation"
    assert PHASES[-1] == "cleaning"


def test_the_images_own_role_comes_first_then_names() -> None:
    assert order("x", {"plugin_b": {}, "image": {}, "plugin_a": {}}, set()) == ["image", "plugin_a", "plugin_b"]


def test_wishes_are_met_and_the_rest_stays_by_name() -> None:
    wishes = {"plugin_a": {"after": ["plugin_c"]}, "plugin_b": {"before": ["image"]}, "plugin_c": {}, "image": {}}
    assert order("x", wishes, wishes) == ["plugin_b", "image", "plugin_c", "plugin_a"]


def test_a_role_that_exists_but_does_not_join_is_no_error() -> None:
    assert order("x", {"plugin_a": {"after": ["plugin_b"]}}, {"plugin_a", "plugin_b"}) == ["plugin_a"]


def test_a_role_that_does_not_exist_is_named_with_the_closest() -> None:
    with pytest.raises(OrderError, match="no role plugin_cloudinit; did you mean plugin_cloud_init"):
        order("x", {"plugin_a": {"after": ["plugin_cloudinit"]}}, {"plugin_a", "plugin_cloud_init"})


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(OrderError, match="unknown word afterwards"):
        order("x", {"plugin_a": {"afterwards": ["plugin_b"]}}, {"plugin_a", "plugin_b"})


def test_a_circle_is_spelled_out() -> None:
    wishes = {"a": {"after": ["b"]}, "b": {"after": ["c"]}, "c": {"after": ["a"]}}
    with pytest.raises(OrderError, match="these wait for each other: .* -> .* -> .* -> "):
        order("x", wishes, wishes)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_every_order_meets_every_wish(pairs: list[tuple[int, int]]) -> None:
    wishes = {f"r{n}": {"after": []} for n in range(10)}
    for low, high in (sorted(pair) for pair in pairs if pair[0] != pair[1]):
        wishes[f"r{high}"]["after"].append(f"r{low}")
    ordered = order("x", wishes, wishes)
    assert sorted(ordered) == sorted(wishes)
    for role, wish in wishes.items():
        assert all(ordered.index(other) < ordered.index(role) for other in wish["after"])
