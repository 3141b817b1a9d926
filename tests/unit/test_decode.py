"""Published facts read back: a decoded node answers as the node itself, or unknown."""

import json

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from preflight.facts.view import Unknown, View
from preflight.requirements.decode import NOTHING, UNTOLD, view_of
from preflight.requirements.encode import KEYS, PREFIXES, extra_of, features_of
from preflight.requirements.evaluate import ClauseResult, evaluate
from preflight.requirements.extra import to_extra
from preflight.requirements.grammar import Predicate, Requirement, parse
from preflight.requirements.many import evaluate_many
from slurm_grammar import extra_holds
from unit.test_requirement_compile import CLAUSES, MIB, NODE, POLICIES, PROFILES, predicates, requirement_of, views

HOLDS = ("pass", "warn")


def full_views() -> st.SearchStrategy[View]:
    """Nodes of the usual kind: every fact told, GPUs alike, with any of several systems, drivers and GPUs."""
    system = st.sampled_from([("ubuntu", "22.04"), ("rocky", "9.4"), ("debian", "12"), ("arch", None)])
    driver = st.sampled_from([(None, None), ("550.54.15", "12.4"), ("470.57.02", "11.4"), ("580.65.06", "13.0")])
    gpu = st.sampled_from([("NVIDIA H100 80GB HBM3", "9.0"), ("NVIDIA A100-SXM4-80GB", "8.0"), ("Tesla V100", "7.0")])
    sizes = st.sampled_from([80 * 1000**3, 81559 * MIB, 64 << 30, 76294 * MIB])
    return st.builds(
        lambda os, drv, one, count, memory, flag, cut: View(
            {
                "os": {"id": os[0], "version": os[1], "like": []},
                "kernel": {"release": "5.14.0-427.13.1.el9_4.x86_64"},
                "libc": {"glibc": "2.34"},
                "arch": {"machine": "x86_64"},
                "driver": {"version": drv[0], "cuda": drv[1]},
                "memory": {"total": 64 << 30},
                "cpu": {"count": 64},
                "ib": {"rate": 400 if flag else None},
                "toolkits": {"versions": [], "compat": []},
                "python": {"versions": ["3.9.18", "3.11.2"]},
                "libraries": {"cudnn": ["9.1.0"] if flag else [], "nccl": []},
                "modules": {"names": ["nccl/2.20.5", "python/3.12"]},
                "gpus": {
                    "devices": [
                        {
                            "index": index,
                            "name": one[0],
                            "compute_capability": one[1],
                            "memory": memory,
                            "ecc": flag,
                            "mig": bool(cut),
                            "nvlink": 18,
                            **({"mig_devices": cut} if cut else {}),
                        }
                        for index in range(count)
                    ]
                },
            },
            {},
        ),
        system,
        driver,
        gpu,
        st.integers(0, 3),
        sizes,
        st.booleans(),
        st.lists(
            st.builds(lambda name: {"profile": name, "memory": 40192 * MIB}, st.sampled_from(PROFILES)), max_size=2
        ),
    )


INSTALLED = ("python", "cudnn", "nccl")


def asks_what_runs(requirement: Requirement) -> bool:
    """Whether a clause asks for CUDA by the published range, or for a highest version: decoding may say more."""
    return any(
        (one.name == "cuda" and one.op in (">=", "=", "~=")) or one.name in INSTALLED
        for clause in requirement.clauses
        for one in clause.predicates
    )


def agree(own: ClauseResult, decoded: ClauseResult, requirement: Requirement) -> None:
    """Hold a decoded node's answer against the node's own: the same truth, or unknown."""
    event(f"{own.status} read back as {decoded.status}")
    if decoded.status == "unknown" or decoded.status == own.status:
        return
    if {own.status, decoded.status} == set(HOLDS):
        # A caveat is the policy's for CUDA; forward compatibility and the rest of a list of versions are not told.
        assert asks_what_runs(requirement)
        return
    # What may be said: above the published range a program does not run, where the node itself could not tell.
    assert (own.status, decoded.status) == ("unknown", "fail")
    assert asks_what_runs(requirement)


@settings(deadline=None, max_examples=400)
@given(CLAUSES, views() | full_views(), st.sampled_from(POLICIES))
def test_extra_read_back_answers_as_the_node(requirement: Requirement, view: View, policy: str) -> None:
    published = json.loads(json.dumps(extra_of(view, policy)))
    own = evaluate(requirement, view, cuda_minor=policy)[0]
    agree(own, evaluate(requirement, view_of(published), cuda_minor=policy)[0], requirement)


@settings(deadline=None, max_examples=400)
@given(CLAUSES, views() | full_views(), st.sampled_from(POLICIES))
def test_features_read_back_answer_as_the_node(requirement: Requirement, view: View, policy: str) -> None:
    decoded = view_of({}, ["site", *features_of(view, policy), "rack1"])
    own = evaluate(requirement, view, cuda_minor=policy)[0]
    agree(own, evaluate(requirement, decoded, cuda_minor=policy)[0], requirement)


def is_lost(one: Predicate) -> bool:
    """Whether even a usual node does not publish what the predicate reads, or not to that detail."""
    if one.name in ("os.like", "toolkit", "tmp", "shm", "mount", "module", "container"):
        return True
    if one.value and one.name == "kernel" and one.value.count(".") > 2:
        return True  # versions are published by three parts
    return one.name in ("cuda", "memory", "gpu.memory", *INSTALLED)


@settings(deadline=None, max_examples=400)
@given(predicates(), full_views())
def test_what_a_usual_node_publishes_is_read_back_whole(one: Predicate, view: View) -> None:
    if is_lost(one):
        return
    requirement = requirement_of([one])
    decoded = evaluate(requirement, view_of(extra_of(view)))[0]
    assert decoded.status == evaluate(requirement, view)[0].status


@settings(deadline=None, max_examples=400)
@given(CLAUSES, views() | full_views(), st.sampled_from(POLICIES))
def test_slurms_answer_is_never_contradicted(requirement: Requirement, view: View, policy: str) -> None:
    """Where Slurm places by what was published, plan does not say that the node fails, and the other way round."""
    compiled = to_extra(requirement)
    if compiled.not_placeable:
        return
    published = extra_of(view, policy)
    decoded = evaluate(requirement, view_of(published), cuda_minor=policy)[0]
    fits = extra_holds(compiled.text, published)
    event(f"fits: {fits}, read back as {decoded.status}")
    if fits:
        assert decoded.status != "fail"
    if decoded.status in HOLDS:
        assert fits


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from(sorted(KEYS | {"gpu_name_h100", "rack"})), JSON), CLAUSES)
def test_any_extra_is_read(extra: dict[str, object], requirement: Requirement) -> None:
    """Anyone who may write Extra may write anything: it is judged, or unknown."""
    list(evaluate_many(requirement, [view_of(extra)]))


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.builds("{}{}".format, st.sampled_from([*PREFIXES, "cuda_runs_", "gpu_count_", "gpu_arch_"]), st.text())
    ),
    CLAUSES,
)
def test_any_features_are_read(features: list[str], requirement: Requirement) -> None:
    list(evaluate_many(requirement, [view_of({}, features)]))


def status(view: View, spec: str) -> str:
    return evaluate(parse(spec), view)[0].status


@pytest.mark.parametrize(
    ("spec", "by_extra", "by_features"),
    [
        ("ubuntu>=22.04", "pass", "pass"),
        ("rhel>=9", "fail", "fail"),
        ("driver>=550.54", "pass", "pass"),
        ("driver>=560", "fail", "fail"),
        ("driver>=550.54.15.1", "unknown", "unknown"),
        ("cuda>=12.4", "pass", "pass"),
        ("cuda>=12.9", "warn", "warn"),
        ("cuda>=13.0", "fail", "fail"),
        ("cuda>=11.7", "warn", "warn"),
        ("cuda>=12.77", "unknown", "unknown"),
        ("!cuda>=13.0", "unknown", "unknown"),
        ("!cuda>=12.0", "fail", "fail"),
        ("cuda<12.4", "fail", "fail"),
        ("gpu=h100", "pass", "pass"),
        ("gpu=H100 80GB", "pass", "unknown"),
        ("gpu=a100", "fail", "fail"),
        ("!gpu=a100", "pass", "pass"),
        ("gpu.count>=2", "pass", "pass"),
        ("gpu.count>=4", "fail", "fail"),
        ("gpu.arch>=9.0", "pass", "pass"),
        ("gpu.memory>=80G", "pass", "unknown"),
        ("gpu.memory>=90G", "fail", "unknown"),
        ("gpu.memory<90G", "unknown", "unknown"),
        ("ecc", "pass", "unknown"),
        ("mig", "fail", "unknown"),
        ("mount=/scratch", "unknown", "unknown"),
        ("os.like=debian", "unknown", "unknown"),
        ("os.like=ubuntu", "pass", "pass"),
        ("glibc>=2.34", "pass", "pass"),
        ("arch=amd64", "pass", "pass"),
    ],
)
def test_one_node_by_both(spec: str, by_extra: str, by_features: str) -> None:
    assert status(view_of(extra_of(NODE)), spec) == by_extra
    assert status(view_of({}, features_of(NODE)), spec) == by_features


def test_a_node_that_published_nothing_is_unknown_in_all() -> None:
    for view in (view_of({}), view_of({"os": "ubuntu", "gpu": "h100", "rack": 4}), view_of({}, ["gpu_a100", "os_x"])):
        assert NOTHING in view.unknown.values()
        for spec in ("ubuntu>=22.04", "!os=debian", "gpu=a100", "mount=/x", "cuda>=12"):
            found = evaluate(parse(spec), view)[0]
            assert (found.status, NOTHING in found.message) == ("unknown", True)


def test_extra_is_believed_before_features() -> None:
    view = view_of(extra_of(NODE), ["os_rocky_9.4", "cuda_runs_11.8", "gpu_count_1", "driver_470"])
    assert [status(view, spec) for spec in ("os=ubuntu", "driver>=550", "gpu.count=2")] == ["pass", "pass", "pass"]


def test_what_is_not_published_says_so() -> None:
    view = view_of(extra_of(NODE))
    assert view.get("tmp.free") == Unknown(UNTOLD)
    assert NOTHING not in view.unknown.values()


def test_a_node_whose_gpus_differ() -> None:
    """What all GPUs share is published: of a word that only some have it is known that not all have it."""
    mixed = View(
        {
            "driver": {"version": "550.54.15", "cuda": "12.4"},
            "gpus": {"devices": [{"name": "NVIDIA H100 PCIe"}, {"name": "NVIDIA A100"}]},
        },
        {},
    )
    view = view_of(extra_of(mixed))
    answers = {spec: status(view, spec) for spec in ("gpu=nvidia", "gpu=h100", "!gpu=h100", "gpu.count=2")}
    assert answers == {"gpu=nvidia": "pass", "gpu=h100": "fail", "!gpu=h100": "pass", "gpu.count=2": "pass"}
