"""From a run to findings: whose GPUs, which facts, what is asked and by whom."""

from __future__ import annotations

import time
from typing import Any

import pytest

from preflight.checks.registry import JobGpus, every_check
from preflight.facts.document import FactsDocument
from preflight.facts.view import Unknown
from preflight.hooks.assess import Question, assess, job_view, requirements, subjects
from preflight.hooks.reading import reading_of
from preflight.policy.model import CheckPolicy, Expectation, Policy
from preflight.slurm.environment import Job, job_from
from preflight.slurm.gres import Gres
from preflight.slurm.gres.model import Line
from preflight.verdict import verdict

DEFAULTS = Policy()


def job(gpus: str = "", **more: str) -> Job:
    found = job_from({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": gpus, "SLURM_JOB_PARTITION": "gpu", **more})
    assert found is not None
    return found


def document(minors: tuple[int | None, ...], unknown: dict[str, str] | None = None, **per: Any) -> FactsDocument:
    devices = [
        {"index": at, "minor": minor, "name": f"NVIDIA H{minor}00", "ecc_uncorrected_volatile": per.get(f"ecc{at}", 0)}
        for at, minor in enumerate(minors)
    ]
    gpus = {"count": len(devices), "devices": devices, "stuck_at": None}
    return FactsDocument(
        "n1", "2026-11-24T14:00:00Z", {"kernel": {"release": "5.14.0"}, "gpus": gpus}, unknown or {}, {}
    )


def ask(who: Job | None, gres: Gres = Gres(), **more: Any) -> Question:  # noqa: B008
    return Question("prolog", "n1", more.pop("policy", DEFAULTS), who, gres=gres, **more)


FOUR = document((3, 1, 0, 2))  # minor numbers shuffled against NVML's indexes
ALL_FOUR = Gres(
    (
        Line(
            None,
            "/dev/nvidia[0-3]",
            tuple(f"/dev/nvidia{one}" for one in range(4)),
            ("gpu:0", "gpu:1", "gpu:2", "gpu:3"),
            4,
        ),
    )
)


def test_a_view_is_of_the_jobs_gpus() -> None:
    node = FOUR.view()
    assert job_view(node, None) is node
    assert [one["index"] for one in job_view(node, JobGpus((2, 0))).devices()] == [2, 0]
    untold = job_view(node, JobGpus(problem="who knows"))
    assert untold.devices() == Unknown("who knows")
    hung = document((0,), {"gpus": "hangs", "gpus.0": "hangs"}).view()
    assert job_view(hung, JobGpus()).devices() == []


@pytest.mark.parametrize(
    ("spec", "status"),
    [("!mig", "pass"), ("gpu=h100", "fail"), ("gpu.count>=1", "fail"), ("gpu.count=0", "pass"), ("nvlink", "fail")],
)
def test_a_job_without_gpus_passes_not_mig_and_fails_what_needs_one(spec: str, status: str) -> None:
    found = assess(ask(job(SPANK__SLURM_SPANK_OPTION_preflight_require=spec)), NOWHERE, LATE, document((3, 3)))
    assert [one.status for one in found.findings if one.check == "requirement"] == [status]


NOWHERE = reading_of(DEFAULTS, "n1", None)
LATE = time.monotonic() + 1000


def test_all_sources_apply_and_each_clause_keeps_its_own() -> None:
    policy = DEFAULTS._replace(expect=(Expectation("n1", (), "kernel>=5"),))
    who = job(
        SPANK__SLURM_SPANK_OPTION_preflight_require="ubuntu>=22.04", SLURM_JOB_COMMENT="x; require: cuda>=12.4; more"
    )
    asked, broken = requirements(ask(who, policy=policy, require="glibc>=2.34"))
    assert [(one.requirement.text(), one.source, one.blame) for one in asked] == [
        ("glibc>=2.34", "--require", "job"),
        ("ubuntu>=22.04", "--require", "job"),
        ("cuda>=12.4", "comment", "job"),
        ("kernel>=5", "policy", "node"),
    ]
    assert broken == ()


def test_what_cannot_be_read_is_kept_apart() -> None:
    asked, broken = requirements(ask(job(SLURM_JOB_COMMENT="require: cuda>>12")))
    assert asked == ()
    ((text, source, why),) = broken
    assert (text, source) == ("cuda>>12", "comment")
    assert why
    assert "\n" not in why


def test_a_broken_requirement_is_unknown_and_the_job_runs() -> None:
    found = assess(ask(job(SLURM_JOB_COMMENT="require: cuda>>12")), NOWHERE, LATE, FOUR)
    assert verdict(found.findings) == "unknown"


@pytest.mark.parametrize(
    ("partitions", "of_job", "applies"),
    [
        ((), "gpu", True),
        (("gpu",), "gpu", True),
        (("gpu", "long"), "long", True),
        (("a100",), "gpu", False),
        (("a100",), "gpu,a100", True),
        (("a100",), None, True),  # the health check judges the node for every partition
    ],
)
def test_an_expectation_of_a_partition_is_asked_for_its_jobs(
    partitions: tuple[str, ...], of_job: str | None, applies: bool
) -> None:
    policy = DEFAULTS._replace(expect=(Expectation("n1", partitions, "kernel>=5"),))
    who = None if of_job is None else job(SLURM_JOB_PARTITION=of_job)
    assert bool(requirements(ask(who, policy=policy))[0]) is applies


def needed(who: Job | None, phase: str = "prolog", policy: Policy = DEFAULTS) -> frozenset[str]:
    question = Question(phase, "n1", policy, who)
    return subjects(question, requirements(question)[0])


def test_a_cpu_jobs_prolog_leaves_nvml_alone() -> None:
    assert not {"gpus", "driver"} & needed(job(""))
    assert {"gpus", "driver"} <= needed(job("0"))
    assert {"gpus", "driver"} <= needed(None, "health")


def test_what_is_asked_for_is_read() -> None:
    who = job(SPANK__SLURM_SPANK_OPTION_preflight_require="mount=/scratch,module=cuda/12.4,ib,container=enroot")
    assert {"mounts", "modules", "ib", "container"} <= needed(who)
    assert not {"modules", "ib", "container"} & needed(job(""))


def test_a_gpu_clause_of_a_cpu_job_reads_no_gpu_but_an_expectation_does() -> None:
    assert "gpus" not in needed(job(SPANK__SLURM_SPANK_OPTION_preflight_require="gpu=h100"))
    policy = DEFAULTS._replace(expect=(Expectation("n1", (), "gpu.count=8"),))
    assert "gpus" in needed(job(), policy=policy)


def test_a_check_that_is_off_is_not_read_for() -> None:
    assert "memory" in needed(job())
    gpu_checks = [one.name for one in every_check().values() if {"gpus", "driver"} & set(one.reads)]
    off = DEFAULTS._replace(checks=dict.fromkeys(gpu_checks, CheckPolicy("off")))
    assert not {"gpus", "driver"} & needed(None, "health", off)


def test_an_expectation_is_judged_on_the_whole_node_of_a_job_with_one_gpu() -> None:
    policy = DEFAULTS._replace(expect=(Expectation("n1", (), "gpu.count=4"),))
    who = job("0", SPANK__SLURM_SPANK_OPTION_preflight_require="gpu.count=1")
    found = assess(ask(who, ALL_FOUR, policy=policy), NOWHERE, LATE, FOUR)
    said = {one.check: one.status for one in found.findings if one.check in ("requirement", "expectation")}
    assert said == {"requirement": "pass", "expectation": "pass"}


def test_whose_gpu_it_is_decides_the_verdict() -> None:
    sick = document((3, 1, 0, 2), ecc2=5)  # NVML index 2, minor 0
    gres = ALL_FOUR
    assert verdict(assess(ask(job("0"), gres), NOWHERE, LATE, sick).findings) == "unhealthy"
    assert verdict(assess(ask(job("2"), gres), NOWHERE, LATE, sick).findings) == "degraded"
    assert verdict(assess(ask(None), NOWHERE, LATE, sick).findings) == "unhealthy"
    assert verdict(assess(ask(None, gpus=(2,)), NOWHERE, LATE, sick).findings) == "unhealthy"
    assert verdict(assess(ask(None, gpus=(0,)), NOWHERE, LATE, sick).findings) == "degraded"
    assert verdict(assess(ask(None, gpus=(9,)), NOWHERE, LATE, document((0,))).findings) == "unhealthy"
    ambiguous = Gres(problem="gres.conf names no File=")
    assert verdict(assess(ask(job("0"), ambiguous), NOWHERE, LATE, sick).findings) == "degraded"


def test_a_requirement_that_cannot_be_read_is_shown_short() -> None:
    """It goes into every report of the job, in root's spool."""
    job = Job(7, require="gpu=" + "x" * 125_000)
    _, broken = requirements(Question("prolog", "n1", Policy(), job))
    ((text, source, why),) = broken
    assert len(text) < 500
    assert text.endswith("(125004 characters)")
    assert (source, "longer than" in why) == ("--require", True)


CODE = "SPANK__SLURM_SPANK_OPTION_preflight_gpu_code"
SUMMARY = "v1:0123456789ab:"


def of_code(
    text: str, capability: str = "9.0", gpus: str = "0", policy: Policy = DEFAULTS, phase: str = "prolog"
) -> Any:
    """Return what is found of the environment's code, and the verdict, on a node with a GPU of CUDA 12.4."""
    found = document((0,))
    found.facts["gpus"]["devices"][0].update(compute_capability=capability)
    found.facts["driver"] = {"version": "550.54.15", "cuda": "12.4", "module": "550.54.15", "nvml": "ok"}
    line = Gres((Line(None, "/dev/nvidia0", ("/dev/nvidia0",), ("gpu:0",), 1),))
    asked = ask(job(gpus, **{CODE: text}), line, policy=policy)._replace(phase=phase)
    told = assess(asked, NOWHERE, LATE, found).findings
    return [one for one in told if one.check == "gpu.code"], told


@pytest.mark.parametrize(
    ("summary", "capability", "status", "part"),
    [
        ("sm_90", "9.0", "pass", "run the GPU code"),
        ("sm_90", "7.0", "warn", "needs sm_90; the job has 1 GPU with compute capability 7.0: CUDA answers 'no kernel"),
        ("sm_75+sm_80+sm_90", "7.0", "warn", "needs sm_75 to sm_90; "),
        ("sm_80+sm_90/sm_90", "8.0", "warn", "needs sm_90; "),
        ("sm_80+compute_80@12.4", "9.0", "pass", "run the GPU code"),
        ("sm_80+compute_80/sm_80@12.8", "9.0", "warn", "needs sm_80 or a driver of CUDA 12.8; "),
        ("sm_80+compute_80/sm_80@12.8", "8.6", "pass", "run the GPU code"),
        ("@12.8", "9.0", "warn", "needs a driver of CUDA 12.8; "),
        ("sm_80", "8.7", "unknown", "is not known"),
        ("sm_95", "9.0", "unknown", "is not known"),
    ],
)
def test_the_code_of_a_jobs_environment_is_told_and_moves_nothing(
    summary: str, capability: str, status: str, part: str
) -> None:
    (found,), every = of_code(SUMMARY + summary, capability)
    assert (found.status, found.blame, found.subject) == (status, "job", "environment 0123456789ab")
    assert part in found.message
    others = [one for one in every if one is not found]
    assert verdict([found]) == {"pass": "ready"}.get(status, "degraded")
    assert not any(one.source == found.source or one.check == "requirement" for one in others)


@pytest.mark.parametrize(
    "text", ["junk", "v1:0123456789ab:sm_90,os=plan9", "x" * 100_000, "v1:0123456789ab:/etc/passwd"]
)
def test_a_summary_that_is_none_is_told_without_its_text(text: str) -> None:
    (found,), every = of_code(text)
    assert (found.status, found.subject) == ("unknown", "environment")
    assert text not in str(found)
    assert verdict([found]) == "degraded"
    assert not [one for one in every if one.check == "requirement"]


def test_without_a_summary_without_gpus_and_behind_the_job_nothing_is_told() -> None:
    for told in (of_code(""), of_code("none"), of_code(SUMMARY + "sm_70", gpus=""), of_code("junk", gpus="")):
        assert told[0] == []
    assert of_code(SUMMARY + "sm_70", phase="epilog")[0] == []


def test_a_site_may_have_it_decide() -> None:
    policy = Policy(checks={"gpu.code": CheckPolicy(action="drain")})
    (found,), _ = of_code(SUMMARY + "sm_90", "7.0", policy=policy)
    assert (found.status, verdict([found])) == ("fail", "mismatch")
    assert of_code(SUMMARY + "sm_90", "7.0", policy=Policy(checks={"gpu.code": CheckPolicy(action="off")}))[0] == []
