"""A job's own --constraint on one node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.submit.plan.constraint import read


@pytest.mark.parametrize(
    ("text", "features", "allowed"),
    [
        ("a", "a b", True),
        ("a", "b", False),
        ("a&b", "a b", True),
        ("a&b", "a", False),
        ("a|b", "b", True),
        ("(a|b)&c", "a", False),
        ("(a|b)&c", "b c", True),
        ("a|(b&c)", "a", True),
        ("a|(b&c)", "b", False),
        (" a & b ", "a b", True),
        ("[a|b]", "b", True),
        ("[a|b]", "c", False),
        ("[a|b]&c", "a", False),
        ("os_ubuntu_22.04&driver_550.54.15", "os_ubuntu_22.04 driver_550.54.15", True),
        ("", "", True),
    ],
)
def test_features_decide(text: str, features: str, allowed: bool) -> None:
    assert read(text).allows(features.split()) is allowed


@pytest.mark.parametrize(
    "text", ["a*4", "[a*2&b*1]", "a&&b", "(a", "a)", "a b", "&", "[a|b", "((((" * 20 + "a", "a" * 9999]
)
def test_what_is_not_read_is_left_to_slurm(text: str) -> None:
    found = read(text)
    assert found.allows([]) or found.term is not None
    assert found.left or found.term is not None
    if "*" in text or len(text) > 99:
        assert (found.term, found.allows([])) == (None, True)


def test_what_can_be_read_in_two_ways_is_left_to_slurm_only_where_they_differ() -> None:
    constraint = read("a|b&c")
    assert constraint.allows(["a"])  # from left to right not, with & first yes
    assert not constraint.allows(["b"])
    assert constraint.allows(["b", "c"])


@given(st.text(alphabet="ab&|()[]*2 ", max_size=30))
def test_any_text_is_read(text: str) -> None:
    assert read(text).allows(["a", "b", "2"]) in (True, False)
