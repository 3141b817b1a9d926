"""Compiled requirements: Slurm's answer, by a second implementation of its grammars, is the evaluator's."""

import pytest
from allowed_values import allowed
from hypothesis import event, given, settings
from hypothesis import strategies as st

from preflight.facts.view import View
from preflight.requirements import names
from preflight.requirements.compile import (
    Compiled,
    NotPlaceable,
    join_constraint,
    join_extra,
    to_constraint,
    to_extra,
)
from preflight.requirements.encode import PREFIXES, extra_of, features_of, is_ours
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import Clause, Predicate, Requirement, parse
from preflight.requirements.kinds_of_names import with_profile
from slurm_grammar import extra_holds, features_hold

POLICIES = ("accept", "warn", "reject")
_PART = st.sampled_from([0, 1, 2, 4, 9, 12, 15, 470, 525, 550, 580, 998, 999, 1200])
VERSION = st.lists(_PART, min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
DRIVERS = st.sampled_from(["440.10", "470.57.02", "525.60.13", "525", "550.54.15", "580.65.06", "999.1", "nonsense"])
CUDAS = st.sampled_from(["10.2", "11.8", "12", "12.4", "12.10", "13.0", "14.1", "12.1200", "junk"]) | VERSION
SYSTEMS = st.sampled_from(
    ["ubuntu", "rocky", "rhel", "opensuse-leap", "sles", "debian", "arch", "we|ird", "my_os", "Ubuntu", "b=(ä)"]
)
RELEASES = st.none() | VERSION | st.sampled_from(["22.04", "9", "9.4", "15.6", "16.0", "rolling", "24.04-x"])
WORDS = ("h100", "a100", "nvidia", "80gb", "a10")
GPU_NAMES = st.sampled_from(["NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB", "NVIDIA A10", "Odd (x)=1"]) | st.none()
MIB = 1 << 20
SIZES = st.sampled_from([0, 80 * 1000**3, 81559 * MIB, 76294 * MIB, 64 << 30, (64 << 30) + 1000, 1]) | st.none()
RATES = st.sampled_from([0, 100, 400, 2.5, None])
FLAGS = st.sampled_from([True, False, None])

TARGETS = ("sm_50", "sm_80", "sm_87", "sm_90", "sm_90a", "sm_100f", "sm_95", "compute_70", "compute_90a")
PROFILES = ("3g.40gb", "1g.10gb+me", "1g.24gb-me", "1c.2g.20gb")
CUT = st.fixed_dictionaries(
    {},
    optional={"profile": st.sampled_from([*PROFILES, "odd", None]), "memory": st.sampled_from([40192 * MIB, 1, None])},
)

DEVICE = st.fixed_dictionaries(
    {},
    optional={
        "name": GPU_NAMES,
        "memory": SIZES,
        "compute_capability": st.sampled_from(["9.0", "8.0", "9", "8.9", "8.7", "10.3", "10.7", "9.0.0", "9.5"]),
        "ecc": FLAGS,
        "mig": FLAGS,
        "nvlink": st.sampled_from([0, 1, 18, None]),
        "error": st.just("GpuIsLost"),
        "errors": st.just({"mig_devices": "Unknown"}),
        "mig_devices": st.lists(CUT, max_size=3),
    },
)
FACTS = {
    "os.id": SYSTEMS,
    "os.version": RELEASES,
    "os.like": st.just(["debian"]),
    "kernel.release": VERSION | st.sampled_from(["5.14.0-427.13.1.el9_4.x86_64", "6.8.0-45-generic"]),
    "libc.glibc": st.none() | VERSION,
    "arch.machine": st.sampled_from(["x86_64", "aarch64", "amd64", "x(86"]),
    "driver.version": st.none() | DRIVERS | VERSION,
    "driver.cuda": st.none() | CUDAS,
    "memory.total": SIZES,
    "cpu.count": st.integers(0, 200),
    "ib.rate": RATES,
    "tmp.free": SIZES,
    "shm.free": SIZES,
    "mounts.paths": st.just(["/scratch"]),
    "modules.names": st.sampled_from([["cuda/12.4"], ["NCCL/2.20.5-cuda", "lang/python/3.12", "cuDNN/9.4"]]),
    "container.runtimes": st.just(["enroot"]),
    "toolkits.versions": st.just(["12.4"]),
    "python.versions": st.lists(VERSION, max_size=3),
    "libraries.cudnn": st.sampled_from([[], ["8.9.7", "9.1.0"], ["9"]]),
    "toolkits.compat": st.just([{"path": "/usr/local/cuda-13.0/compat", "driver": "580.65.06"}]),
    "gpus.devices": st.lists(DEVICE, max_size=2) | DEVICE.map(lambda one: [one, dict(one)]),
}


@st.composite
def views(draw: st.DrawFn) -> View:
    """A node of which some facts are told and some are not."""
    facts: dict[str, dict[str, object]] = {}
    for path, value in draw(st.fixed_dictionaries({}, optional=FACTS)).items():
        subject, _, key = path.partition(".")
        facts.setdefault(subject, {})[key] = value
    return View(facts, {})


@st.composite
def predicates(draw: st.DrawFn) -> Predicate:
    """Any predicate that the grammar allows, with values that lie near the facts."""
    row = draw(st.sampled_from(names.ROWS))
    op = draw(st.sampled_from([*row.kind.operators, *([None] if row.kind.bare else [])]))
    values = {
        "version": VERSION | st.sampled_from(["9", "9.0", "9.4", "22.04", "12.4", "550.54", "550.54.15", "15", "15.6"]),
        "size": st.sampled_from(["80G", "64G", "0K", "81559MiB", "1K", "65536M"]),
        "count": st.sampled_from(["0", "1", "2", "100", "400", "64"]),
        "name": st.sampled_from(["ubuntu", "x86_64", "we|ird", "/scratch", "a100 sxm4", "my_os", "b=(ä)", *WORDS])
        | st.sampled_from(
            ["3g.40gb", "a100_3g.40gb", "h100 mig 1g.10gb+me", "1g.24gb-me", "1g.24gb", "nvidia_1c.2g.20gb"]
        ),
        "target": st.sampled_from(TARGETS) | st.lists(st.sampled_from(TARGETS), min_size=1, max_size=4).map("+".join),
        "profile": st.builds(
            "{}{}".format, st.sampled_from([*PROFILES, "7g.80gb"]), st.sampled_from([":0", ":1", ":2", ":4"])
        ),
    }
    value = None if op is None else draw(values[row.kind.name])
    if row.kind.name == "profile" and op in ("=", "!=") and draw(st.booleans()):
        value = str(value).partition(":")[0]
    value = allowed(row, op, value)
    if op == "~=" and value is not None and "." not in value:
        value += ".4"
    return Predicate(row.name, op, value, op != "!=" and draw(st.booleans()))


def requirement_of(clause: list[Predicate]) -> Requirement:
    return Requirement((Clause(tuple(clause), "|".join(one.text() for one in clause)),))


CLAUSES = st.lists(predicates(), min_size=1, max_size=2).map(requirement_of)


def tells(requirement: Requirement, view: View) -> bool:
    """Whether the node states what the clause reads in a form that Slurm's one value for it holds whole.

    Not so: facts that are missing, GPUs that differ, memory of a fraction of a MiB, which CUDA runs where that
    has gaps.
    """
    extra = extra_of(view)
    for one in requirement.clauses[0].predicates:
        row = names.find(one.name)
        assert row is not None
        if row.name == "cuda" and one.op in (">=", "=", "~="):
            return False
        key = row.extra
        keys = ["os", "os_version"] if row in names.DISTRIBUTION_ROWS else [str(key)]
        if row.scope == "gpu":
            keys.append("gpu_count")
        if row.name == "mig.profile" or (row.name == "gpu" and with_profile(row.kind.parse(str(one.value)))[1]):
            keys = [*(key for key in keys if key != "mig_"), "mig_count"]
        if any(name not in extra for name in keys):
            return False
        if row.kind.name == "size":
            values = [view.get(row.fact)] if row.scope == "node" else [d.get("memory") for d in view.devices()]  # type: ignore[union-attr]
            if any(isinstance(value, int) and value % MIB for value in values):
                return False
    return True


@settings(deadline=None)
@given(CLAUSES, views(), st.sampled_from(POLICIES))
def test_extra_answers_as_evaluation_does(requirement: Requirement, view: View, policy: str) -> None:
    compiled = to_extra(requirement)
    passes = evaluate(requirement, view, cuda_minor=policy)[0].status in ("pass", "warn")
    if compiled.not_placeable:
        event("not placeable")
        assert (compiled.text, compiled.placed) == ("", ())
        assert compiled.not_placeable[0][1]
        return
    fits = extra_holds(compiled.text, extra_of(view, policy))
    event(f"fits: {fits}, told: {tells(requirement, view)}")
    assert passes or not fits, compiled.text
    if tells(requirement, view):
        assert fits == passes, compiled.text


@settings(deadline=None)
@given(CLAUSES, views(), st.lists(views(), max_size=3), st.sampled_from(POLICIES))
def test_features_answer_as_evaluation_does(
    requirement: Requirement, view: View, others: list[View], policy: str
) -> None:
    mine = features_of(view, policy)
    cluster = [*mine, "site_feature", *(one for other in others for one in features_of(other, policy))]
    compiled = to_constraint(requirement, cluster)
    if compiled.not_placeable:
        event("not placeable")
        return
    passes = evaluate(requirement, view, cuda_minor=policy)[0].status in ("pass", "warn")
    fits = features_hold(compiled.text, mine)
    event(f"fits: {fits}")
    assert passes or not fits, compiled.text
    assert not (fits and compiled.unmet)


@settings(deadline=None)
@given(st.lists(CLAUSES, min_size=1, max_size=4), views())
def test_clauses_join_to_a_text_that_slurm_reads(several: list[Requirement], view: View) -> None:
    requirement = Requirement(tuple(one.clauses[0] for one in several))
    extra = extra_of(view)
    compiled = to_extra(requirement)
    assert len(compiled.placed) + len(compiled.not_placeable) == len(requirement.clauses)
    alone = [to_extra(Requirement((clause,))).text for clause in compiled.placed]
    if compiled.text:
        assert extra_holds(compiled.text, extra) == all(extra_holds(text, extra) for text in alone)
        assert extra_holds(join_extra("site=1|site=2", compiled.text), {**extra, "site": 2}) == extra_holds(
            compiled.text, extra
        )
        assert not extra_holds(join_extra("site=1|site=2", compiled.text), extra)


@settings(deadline=None)
@given(views(), st.sampled_from(POLICIES))
def test_what_is_published_is_known_as_ours_and_stands_in_slurms_grammar(view: View, policy: str) -> None:
    extra = extra_of(view, policy)
    assert all(is_ours(key) for key in extra)
    assert not any(set(f"{key}{value}") & set(',&|<>=!() "') for key, value in extra.items())
    assert all(one.startswith(PREFIXES) for one in features_of(view, policy))
    assert not any(set(one) & set('()&|,*[]<>=!: "') for one in features_of(view, policy))


H100 = {"name": "NVIDIA H100 80GB HBM3", "memory": 81559 * MIB, "compute_capability": "9.0", "mig": False, "ecc": True}
NODE = View(
    {
        "os": {"id": "ubuntu", "version": "22.04"},
        "arch": {"machine": "x86_64"},
        "libc": {"glibc": "2.35"},
        "driver": {"version": "550.54.15", "cuda": "12.4"},
        "gpus": {"devices": [H100, H100]},
    },
    {},
)


def test_a_node_with_gpus_as_slurm_is_told_it() -> None:
    assert extra_of(NODE) == {
        "arch": "x86_64",
        "cuda": 12004000,
        "cuda_from": 9000000,
        "cuda_parts": 2,
        "cuda_runs": 12999000,
        "driver": 550054015,
        "driver_parts": 3,
        "ecc": 1,
        "glibc": 2035000,
        "glibc_parts": 2,
        "gpu": "nvidia_h100_80gb_hbm3",
        "gpu_arch": 9000000,
        "gpu_arch_parts": 2,
        "gpu_count": 2,
        "gpu_memory": 81559,
        "gpu_name_80gb": 1,
        "gpu_name_h100": 1,
        "gpu_name_hbm3": 1,
        "gpu_name_nvidia": 1,
        "mig": 0,
        "mig_count": 0,
        "os": "ubuntu",
        "os_version": 22004000,
        "os_version_parts": 2,
    }
    expected = {"os_ubuntu_22.04", "cuda_12.4", "cuda_runs_12.999", "driver_550", "gpu_h100", "arch_x86_64"}
    assert expected <= set(features_of(NODE))
    assert extra_of(NODE, "reject")["cuda_runs"] == 12004000
    assert "cuda_runs_12.4" in features_of(NODE, "reject")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("release", ["11.0", "11.8", "12", "12.0", "12.4", "12.5", "12.9", "13", "13.0", "10.2"])
def test_which_cuda_runs_on_a_node_is_as_evaluation_says(release: str, policy: str) -> None:
    requirement = parse(f"cuda>={release}")
    passes = evaluate(requirement, NODE, cuda_minor=policy)[0].status in ("pass", "warn")
    assert extra_holds(to_extra(requirement).text, extra_of(NODE, policy)) == passes
    assert (release in ("11.8", "12", "12.0", "12.4")) <= passes


def test_a_node_without_a_driver_says_so() -> None:
    view = View({"driver": {"version": None, "cuda": None}, "gpus": {"devices": []}}, {})
    assert extra_of(view) == {
        "cuda": -1, "cuda_runs": -1, "driver": -1, "ecc": 0, "gpu_count": 0, "mig": 0, "mig_count": 0, "nvlink": 0,
    }  # fmt: skip
    assert features_of(view) == ["cuda_none", "cuda_runs_none", "driver_none", "gpu_count_0"]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("cuda>=12.4", "cuda_runs>=12004000&cuda_from<=12004000"),
        ("cuda<12.4", "cuda<12004000&(cuda_parts!=1|cuda!=12000000)&cuda>=0"),
        ("ubuntu>=22.04", "os=ubuntu&os_version>=22004000"),
        ("arch=amd64|!mig", "arch=x86_64|mig=0"),
        ("gpu.memory>=80G, gpu=H100", "gpu_memory>=76294&gpu_name_h100=1"),
        ("os=my|ib", "os=my|ib=1"),
        ('os="a=b"', "os=a%3db"),
    ],
)
def test_extra_text(spec: str, text: str) -> None:
    assert to_extra(parse(spec)).text == text


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("mount=/scratch", "mount is not published"),
        ("tmp>=1G", "tmp is not published"),
        ("gpu.count=2", "the GPUs that the job gets"),
        ("!gpu=h100", "is not published"),
        ("kernel>=5.14.0.427", "by three parts"),
        ("driver>=550.999", "above 998"),
        ("memory<=64G", "whole MiB"),
        ("cuda>=12.4|mount=/scratch", "mount is not published"),
    ],
)
def test_what_cannot_be_placed_is_said(spec: str, why: str) -> None:
    compiled = to_extra(parse(spec))
    assert compiled.text == ""
    assert why in compiled.not_placeable[0][1]


CLUSTER = [
    "os_ubuntu_22.04",
    "os_rocky_9.4",
    "os_sle_hpc_15.5",
    "cuda_runs_12.999",
    "cuda_runs_11.8",
    "gpu_h100",
    "driver_550",
    "big",
]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("cuda>=12.4, ubuntu>=22.04|rhel>=9", "cuda_runs_12.999&(os_rocky_9.4|os_ubuntu_22.04)"),
        ("ubuntu>=22.04|rhel>=9", "os_rocky_9.4|os_ubuntu_22.04"),
        ("sles>=15.4", "os_sle_hpc_15.5"),
        ("os=sle_hpc", "os_sle_hpc_15.5"),
        ("gpu=h100, mount=/x", "gpu_h100"),
        ("driver>=525", "driver_550"),
        ("arch=x86_64", ""),
    ],
)
def test_constraint_text(spec: str, text: str) -> None:
    assert to_constraint(parse(spec), CLUSTER).text == text


def test_a_clause_that_no_node_fits_is_told_and_refused_by_slurm() -> None:
    compiled: Compiled = to_constraint(parse("cuda>=13.0, ubuntu>=22.04"), CLUSTER)
    assert compiled.text == "no_node_has_cuda&os_ubuntu_22.04"
    assert [clause.text for clause in compiled.unmet] == ["cuda>=13.0"]


@pytest.mark.parametrize(
    ("own", "ours", "joined"),
    [
        ("", "a", "a"),
        ("a|b", "c", "(a|b)&c"),
        ("a", "c|d", "a&(c|d)"),
        ("a&b", "c&(d|e)", "a&b&c&(d|e)"),
    ],
)
def test_the_users_own_constraint_is_kept(own: str, ours: str, joined: str) -> None:
    assert join_constraint(own, ours) == joined


@pytest.mark.parametrize("own", ["[a*2&b*1]", "(a&b)|c", "a*4"])
def test_a_constraint_that_cannot_be_joined_is_refused(own: str) -> None:
    with pytest.raises(NotPlaceable, match="your own --constraint"):
        join_constraint(own, "x")
