"""The summary of an environment that travels with a job: what is in it, and what the prolog takes of it."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.requirements.grammar import parse
from preflight.requirements.summary import LONGEST, MOST, NONE, read, span, write

FORM = re.compile(r"v1:[0-9a-f]{12}(?::|/)[a-z0-9_+@./]+")


def summary(*needs: tuple[str, str]) -> str:
    return write((package, parse(text).clauses[0]) for package, text in needs)


@pytest.mark.parametrize(
    ("clause", "place"),
    [
        ("gpu.code=sm_90", "sm_90"),
        ("gpu.code=sm_75+sm_80+compute_90a", "sm_75+sm_80+compute_90a"),
        ("gpu.code=sm_80|driver.cuda>=12.4", "sm_80@12.4"),
        ("driver.cuda>=12.4", "@12.4"),
    ],
)
def test_a_need_comes_back_as_it_was(clause: str, place: str) -> None:
    told = summary(("torch", clause))
    assert FORM.fullmatch(told)
    assert told.endswith(f":{place}")
    found = read(told)
    assert found
    assert [one.text for one in found.requirement.clauses] == [clause]


@pytest.mark.parametrize(
    "clause", ["cuda>=12.4", "gpu=h100", "!gpu.code=sm_90", "gpu.code!=sm_90", "driver>=550", "gpu.code=sm_80|gpu=h100"]
)
def test_nothing_else_of_a_job_is_in_it(clause: str) -> None:
    assert summary(("x", clause)) == ""


def test_equal_environments_have_equal_names_and_others_have_not() -> None:
    one = summary(("torch", "gpu.code=sm_90"), ("flash_attn", "gpu.code=sm_80"))
    assert one == summary(("torch", "gpu.code=sm_90"), ("flash_attn", "gpu.code=sm_80"))
    names = {one.split(":")[1] for one in (one, summary(("torch", "gpu.code=sm_90")), summary(("x", "gpu.code=sm_90")))}
    assert len(names) == 3
    assert "torch" not in one


def test_it_is_bounded() -> None:
    wide = "+".join(f"sm_{number}" for number in range(100, 160))
    told = summary(*((f"p{number}", f"gpu.code={wide}+sm_{number + 200}") for number in range(40)))
    assert 0 < len(told) <= LONGEST
    assert summary(*((f"p{number}", f"gpu.code=sm_{number + 50}") for number in range(40))).count("/") == MOST - 1


@pytest.mark.parametrize(
    "text",
    [
        "", "v1", "v1:", "v1::sm_90", "v2:0123456789ab:sm_90", "v1:0123456789AB:sm_90", "v1:0123456789a:sm_90",
        "v1:0123456789ab:", "v1:0123456789ab:sm_90/", "v1:0123456789ab:sm_90,os=rhel", "v1:0123456789ab:sm_90|ecc",
        "v1:0123456789ab:sm_9²", "v1:0123456789ab:sm_90\n", "v1:0123456789ab:/home/alice", "v1:0123456789ab:sm_90@",
        "v1:0123456789ab:sm_90@12.4.1", "v1:0123456789ab:sm_90@12.", "v1:0123456789ab:sm_90@x", "v1:0123456789ab:@",
        'v1:0123456789ab:"sm_90"', "v1:0123456789ab:sm_90+", "v1:0123456789ab:SM_90", "none ",
        "v1:0123456789ab:" + "/".join(["sm_90"] * (MOST + 1)), "v1:0123456789ab:" + "+".join(["sm_90"] * 65),
        "v1:0123456789ab:" + "sm_90/" * 400 + "sm_90",
    ],
)  # fmt: skip
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no summary"):
        read(text)


def test_none_says_nothing() -> None:
    assert read(NONE) is None


@given(st.text(alphabet=string.printable + "²é\0", max_size=80))
def test_whatever_a_user_sets_is_targets_or_nothing(text: str) -> None:
    for one in (text, f"v1:0123456789ab:{text}"):
        try:
            found = read(one)
        except ValueError:
            continue
        for clause in found.requirement.clauses if found else ():
            for predicate in clause.predicates:
                assert predicate.name in ("gpu.code", "driver.cuda")
                assert predicate.value
                assert re.fullmatch(r"[a-z0-9_+.]+", predicate.value)


def test_targets_are_short_for_people() -> None:
    assert span(["sm_75", "sm_80", "sm_90", "compute_90"]) == "sm_75 to sm_90, compute_90"
    assert span(["sm_75", "sm_80"]) == "sm_75, sm_80"
    assert span(["compute_90"]) == "compute_90"
    assert span([""]) == ""
