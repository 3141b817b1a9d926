"""NVIDIA_REQUIRE_*: the grammar, against an evaluator of its own, and as a requirement that is never stronger."""

from itertools import zip_longest

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from preflight.facts.view import View
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import parse as parse_requirement
from preflight.submit.image.convert import convert
from preflight.submit.image.requires import Condition, parse, read

# (driver, its CUDA), as released.
DRIVERS = (
    ("450.80.02", "11.0"), ("470.57.02", "11.4"), ("470.256.02", "11.4"), ("525.60.13", "12.0"), ("525.147.05", "12.0"),
    ("535.54.03", "12.2"), ("550.54.15", "12.4"), ("550.127.05", "12.4"), ("570.26", "12.8"), ("580.65.06", "13.0"),
)  # fmt: skip
Gpu = dict[str, str]


def order(left: str, right: str) -> int:
    pairs = zip_longest((int(x) for x in left.split(".")), (int(x) for x in right.split(".")), fillvalue=0)
    return next((1 if a > b else -1 for a, b in pairs if a != b), 0)


def factor_holds(text: str, gpu: Gpu) -> bool:
    """An evaluator that shares nothing with the code: of a well-formed factor."""
    for op, wanted in (("!=", (-1, 1)), ("<=", (-1, 0)), (">=", (0, 1)), ("<", (-1,)), (">", (1,)), ("=", (0,))):
        name, sign, value = text.partition(op)
        if sign and name in gpu:
            compared = (gpu[name] != value) * 1 if name == "brand" else order(gpu[name], value)
            return compared in wanted
    raise AssertionError(text)


def value_holds(text: str, gpu: Gpu) -> bool:
    terms = [term.split(",") for term in text.split()]
    return not terms or any(all(factor_holds(factor, gpu) for factor in term if factor) for term in terms)


def parsed_holds(condition: Condition, gpu: Gpu) -> bool:
    return not condition.terms or any(all(factor_holds(one.text(), gpu) for one in term) for term in condition.terms)


OPERATORS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
ASKED = {
    "cuda": ["11", "11.4", "12", "12.0", "12.4", "12.4.1", "13.0"],
    "driver": ["450.80.02", "470", "470.57.02", "471", "525", "526", "535.54.03", "550.54"],
    "arch": ["7.0", "8.0", "9.0", "8.6.0"],
}
VERSIONED = st.sampled_from(sorted(ASKED)).flatmap(
    lambda name: st.tuples(st.just(name), OPERATORS, st.sampled_from(ASKED[name])).map("".join)
)
BRANDED = st.tuples(st.just("brand"), st.sampled_from(["=", "!="]), st.sampled_from(["tesla", "geforce"])).map("".join)
TERMS = st.lists(VERSIONED | BRANDED, min_size=1, max_size=3).map(",".join)
VALUES = st.lists(TERMS, max_size=4).map(" ".join)
GPUS = st.builds(
    lambda driver, arch, brand: {"driver": driver[0], "cuda": driver[1], "arch": arch, "brand": brand},
    st.sampled_from(DRIVERS), st.sampled_from(["8.0", "8.6"]), st.sampled_from(["tesla", "geforce"]),
).filter(lambda gpu: gpu["arch"] == "8.0" or not gpu["driver"].startswith("450"))  # fmt: skip
# Only GPUs that every CUDA above and each of their drivers knows: NVIDIA's condition asks the driver alone, ours
# whether a program built with that CUDA runs, and CUDA 11.4 has no code for an H100.


@given(VALUES, GPUS)
def test_a_condition_holds_where_another_evaluator_says_so(text: str, gpu: Gpu) -> None:
    condition = parse("NVIDIA_REQUIRE_CUDA", text)
    assert condition.problems == ()
    assert parsed_holds(condition, gpu) == value_holds(text, gpu)


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(list("cuda>=!<,. 124driverbrand\0\u202e")), max_size=60).map("".join)
)
@example(",")
@example(" , cuda>=99")
@example("cuda>=" + "9" * 5000)
@example("a" * 20_000)
def test_no_text_makes_it_crash(text: str) -> None:
    condition = parse("NVIDIA_REQUIRE_X", text)
    for clause in convert(condition).clauses:
        parse_requirement(clause)


NAMED = {"tesla": "NVIDIA A100-SXM4-80GB", "geforce": "NVIDIA GeForce RTX 3090", "titan": "NVIDIA TITAN V"}


def clause_statuses(text: str, gpu: Gpu) -> list[str]:
    devices = [{"index": 0, "name": NAMED[gpu["brand"]], "compute_capability": gpu["arch"]}]
    facts = {
        "driver": {"version": gpu["driver"], "cuda": gpu["cuda"], "module": gpu["driver"], "nvml": "ok"},
        "gpus": {"count": 1, "devices": devices, "stuck_at": None},
    }
    return [one.status for one in evaluate(parse_requirement(text), View(facts, {}), cuda_minor="accept")]


@given(VALUES, GPUS)
def test_the_requirement_is_never_stronger_than_the_condition(text: str, gpu: Gpu) -> None:
    if not value_holds(text, gpu):
        return
    for clause in convert(parse("NVIDIA_REQUIRE_CUDA", text)).clauses:
        assert clause_statuses(clause, gpu) == ["pass"], clause


@given(VALUES, GPUS)
def test_nor_is_it_stronger_where_a_runtime_checks(text: str, gpu: Gpu) -> None:
    if not value_holds(text, gpu):
        return
    for clause in convert(parse("NVIDIA_REQUIRE_CUDA", text), checked=True).clauses:
        assert clause_statuses(clause, gpu) == ["pass"], clause


# As NVIDIA's own images write it: a CUDA, or a branch of older drivers for Tesla and perhaps other brands.
BRANCH = st.tuples(
    st.sampled_from([["tesla"], ["tesla", "geforce"], ["titan", "tesla", "geforce"]]),
    st.sampled_from([450, 470, 525, 535, 550]),
).map(lambda one: " ".join(f"brand={brand},driver>={one[1]},driver<{one[1] + 1}" for brand in one[0]))
NVIDIAS = st.tuples(st.sampled_from(["12.2", "12.4", "13.0"]), st.lists(BRANCH, max_size=5)).map(
    lambda one: " ".join([f"cuda>={one[0]}", *one[1]])
)
BRANDED_GPUS = st.builds(
    lambda driver, brand: {"driver": driver[0], "cuda": driver[1], "arch": "7.0", "brand": brand},
    st.sampled_from(DRIVERS), st.sampled_from(sorted(NAMED)),
)  # fmt: skip


@given(NVIDIAS, BRANDED_GPUS)
@example("cuda>=12.4", {"driver": "525.60.13", "cuda": "12.0", "arch": "7.0", "brand": "tesla"})
@example(
    "cuda>=12.4 brand=tesla,driver>=470,driver<471",
    {"driver": "470.57.02", "cuda": "11.4", "arch": "7.0", "brand": "geforce"},
)
def test_no_node_passes_on_which_a_runtime_that_checks_starts_no_container(text: str, gpu: Gpu) -> None:
    clauses = convert(parse("NVIDIA_REQUIRE_CUDA", text), checked=True).clauses
    passes = all(status == "pass" for clause in clauses for status in clause_statuses(clause, gpu))
    assert passes == value_holds(text, gpu), clauses


def test_it_can_fail() -> None:
    gpu = {"driver": "470.57.02", "cuda": "11.4", "arch": "8.0", "brand": "tesla"}
    assert clause_statuses("cuda>=12.4|driver<470", gpu) == ["fail"]


@pytest.mark.parametrize(
    ("value", "clauses"),
    [
        ("cuda>=12.4", ["cuda>=12.4"]),
        ("cuda>=9.0", ["cuda>=9.0"]),
        ("cuda>=12.4 driver>=550", ["cuda>=12.4|driver>=550"]),
        ("cuda>=11.0,driver>=450", ["cuda>=11.0", "driver>=450"]),
        ("CUDA>=12.4,,", ["cuda>=12.4"]),
        ("cuda>=12.4  cuda>=11.8", ["cuda>=11.8"]),
        ("brand=tesla,driver>=470", ["driver>=470"]),
        ("brand=tesla", []),
        ("cuda>=12.4 brand=tesla", []),
        ("driver>550", ["driver>=550"]),
        ("driver>550.54.15", ["driver>550.54.15"]),
        ("driver!=550", []),
        ("cuda<12.4 cuda>=12.4", []),
        ("arch>=8.0,arch<9.0", ["gpu.arch>=8.0", "gpu.arch<9.0"]),
        ("arch<8.0 arch>=9.0", []),
        ("cuda>=12.4.1", ["cuda>=12.4"]),
        ("", []),
        (", cuda>=99", []),
        (
            "cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=unknown,driver>=470,driver<471 "
            "brand=tesla,driver>=525,driver<526 brand=tesla,driver>=535,driver<536",
            [
                "cuda>=12.4|driver>=470",
                "cuda>=12.4|driver<471|driver>=525",
                "cuda>=12.4|driver<526|driver>=535",
                "cuda>=12.4|driver<536",
            ],
        ),
    ],
)
def test_conditions_become_clauses(value: str, clauses: list[str]) -> None:
    assert list(convert(parse("NVIDIA_REQUIRE_CUDA", value)).clauses) == clauses


@pytest.mark.parametrize(
    ("value", "clauses"),
    [
        ("cuda>=12.4", ["driver.cuda>=12.4"]),
        ("brand=tesla", ["gpu!=geforce", "gpu!=quadro", "gpu!=titan"]),
        ("brand=tesla,brand=geforce", []),  # no GPU is of two brands: such a term never holds, and none is left
        ("brand!=geforce,driver>=470", ["driver>=470"]),
        ("brand=geforce brand=tesla brand=titan brand=quadro", []),
        (
            "cuda>=12.6 brand=unknown,driver>=535,driver<536 brand=tesla,driver>=535,driver<536 "
            "brand=quadrortx,driver>=535,driver<536",
            [
                "driver.cuda>=12.6|driver>=535",
                "driver.cuda>=12.6|driver<536",
                "driver.cuda>=12.6|gpu!=geforce",
                "driver.cuda>=12.6|gpu!=titan",
            ],
        ),
        ("arch<8.0 brand=tesla", []),
    ],
)
def test_conditions_as_a_runtime_checks_them(value: str, clauses: list[str]) -> None:
    assert list(convert(parse("NVIDIA_REQUIRE_CUDA", value), checked=True).clauses) == clauses


def test_what_a_requirement_cannot_say_is_told() -> None:
    assert "brand" in convert(parse("X", "brand=tesla,driver>=470")).lost[0]
    assert "driver!=550" in convert(parse("X", "driver!=550")).lost[0]
    assert "architectures" in convert(parse("X", "arch<8.0 arch>=9.0")).lost[0]


@pytest.mark.parametrize(
    ("factor", "problem"),
    [
        ("cuda==12.4", "== is none of"),
        ("cuda=>12.4", "=> is none of"),
        ("cuda", "no comparison"),
        (">=12", "no comparison"),
        ("memory>=80", "memory is none of"),
        ("cuda>=", "value is missing"),
        ("cuda>=12.x", "12.x is no version"),
        ("brand>=tesla", "brand takes only"),
    ],
)
def test_invalid_factors_are_told_and_ask_nothing(factor: str, problem: str) -> None:
    condition = parse("NVIDIA_REQUIRE_CUDA", f"{factor},driver>=470")
    assert len(condition.problems) == 1
    assert problem in condition.problems[0]
    assert convert(condition).clauses == ("driver>=470",)


def test_every_variable_must_hold_and_jetpack_is_none() -> None:
    found = read({"NVIDIA_REQUIRE_CUDA": "cuda>=12.4", "NVIDIA_REQUIRE_DRIVER": "driver>=550",
                  "NVIDIA_REQUIRE_JETPACK": "csv-mounts=all", "NVIDIA_REQUIRE_": "cuda>=99"})  # fmt: skip
    assert [one.variable for one in found.conditions] == ["NVIDIA_REQUIRE_CUDA", "NVIDIA_REQUIRE_DRIVER"]
    assert found.notes == ()


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({"CUDA_VERSION": "11.8.0"}, ["cuda>=11.8"]),
        ({"CUDA_VERSION": "v10"}, ["cuda>=10.0"]),
        ({"CUDA_VERSION": "12.4", "NVIDIA_REQUIRE_CUDA": "cuda>=12.1"}, ["cuda>=12.1"]),
        ({"CUDA_VERSION": "nightly"}, []),
        ({}, []),
    ],
)
def test_an_old_image_says_only_cuda_version(environment: dict[str, str], asked: list[str]) -> None:
    assert [one.value for one in read(environment).conditions] == asked


@pytest.mark.parametrize(
    ("value", "disabled", "differ"),
    [("1", True, False), ("true", True, False), ("false", False, True), ("yes", False, True), ("", False, False)],
)
def test_disabling_the_checks_differs_between_tools(value: str, disabled: bool, differ: bool) -> None:
    found = read({"NVIDIA_REQUIRE_CUDA": "cuda>=12.4", "NVIDIA_DISABLE_REQUIRE": value})
    assert found.disabled is disabled
    assert any("enroot" in note for note in found.notes) is differ
