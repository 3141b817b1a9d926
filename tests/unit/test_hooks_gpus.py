"""Whose GPUs a job's numbers and UUIDs mean, and what Slurm's configuration expects of the node."""

from __future__ import annotations

from typing import Any

import pytest

from preflight.checks.registry import Expected, JobGpus
from preflight.facts.document import FactsDocument
from preflight.hooks.gpus import expected, job_gpus
from preflight.slurm.environment import Job, job_from
from preflight.slurm.gres import Gres
from preflight.slurm.gres.model import Line


def line(*minors: int, kind: str | None = None) -> Line:
    files = tuple(f"/dev/nvidia{minor}" for minor in minors)
    return Line(kind, ",".join(files), files, tuple(f"gpu:{minor}" for minor in minors), len(minors))


def document(*devices: dict[str, Any]) -> FactsDocument:
    gpus = {"count": len(devices), "devices": [{"index": at, **one} for at, one in enumerate(devices)]}
    return FactsDocument("n1", "2026-11-24T14:00:00Z", {"gpus": gpus}, {}, {})


def gpu(minor: int | None, uuid: str = "", **more: Any) -> dict[str, Any]:
    return {"minor": minor, "name": "NVIDIA H100", "uuid": uuid or f"GPU-{minor}", **more}


def of(gpus: str, gres: Gres, facts: FactsDocument, visible: str = "") -> JobGpus:
    job = job_from({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": gpus, "CUDA_VISIBLE_DEVICES": visible})
    found = job_gpus(job, None, gres, facts)
    assert found is not None
    assert (found.job, found.shared) == (7, gres.shared)
    return found._replace(job=0)


FOUR = document(gpu(3), gpu(1), gpu(0), gpu(2))  # minor numbers shuffled against NVML's indexes
BACKWARDS = Gres((line(2, 3, 0, 1),))
NVML = Gres(wanted=((None, 4),), autodetect="nvml", nvml=True, release=2205)


def test_slurms_number_goes_through_gres_conf_to_the_minor_number() -> None:
    assert of("0", BACKWARDS, FOUR) == JobGpus((3,))
    assert of("1,2", BACKWARDS, FOUR) == JobGpus((0, 2))
    assert of("0-3", BACKWARDS, FOUR) == JobGpus((3, 0, 2, 1))


def test_under_autodetect_it_is_nvmls_own_order() -> None:
    assert of("1,3", NVML, FOUR) == JobGpus((1, 3))
    assert of("1,3", NVML._replace(lines=(line(0, 1, 2, 3),)), FOUR) == JobGpus((1, 3))


def test_a_gpu_that_does_not_answer_is_missing() -> None:
    assert of("0,1", Gres((line(2, 7),)), FOUR) == JobGpus((3,), ("/dev/nvidia7",))


@pytest.mark.parametrize(
    ("text", "gres", "says"),
    [
        ("4", Gres((line(0, 1, 2, 3),)), "beyond the 4 GPUs"),
        ("0,1", Gres(problem="gres.conf: File=x"), "File=x"),
        ("gpu:a", Gres((line(0),)), "not a list of numbers"),
        ("0,1,2,3", Gres(problem="twice"), ""),  # all of them: no number needs to be known
        ("0", Gres((line(0, 1), line(1))), "twice"),
        ("0", Gres((line(0, 1, kind="a"), line(2, 3, kind="b"))), "several types"),
    ],
)
def test_what_is_ambiguous_is_a_problem(text: str, gres: Gres, says: str) -> None:
    found = of(text, gres, FOUR)
    assert says in found.problem
    assert bool(found.problem) is bool(says)
    if not says:
        assert found.positions == (0, 1, 2, 3)


def test_without_minor_numbers_not_even_all_of_them_are_known() -> None:
    assert of("0,1", Gres(problem="x"), document(gpu(None), gpu(None))) == JobGpus(problem="x")


def test_a_job_without_gpus_has_none_and_no_job_means_the_whole_node() -> None:
    assert job_gpus(Job(7), None, BACKWARDS, FOUR) == JobGpus(job=7)
    assert job_gpus(None, None, BACKWARDS, FOUR) is None
    assert job_gpus(None, (1, 9), BACKWARDS, FOUR) == JobGpus((1,), ("gpu9",))


def test_a_uuid_beats_every_table() -> None:
    uuids = document(gpu(0, "GPU-aaaa-0000"), gpu(1, "GPU-bbbb-1111"))
    wrong = Gres(problem="nobody knows")
    assert of("0", wrong, uuids, "GPU-bbbb-1111") == JobGpus((1,))
    assert of("0,1", wrong, uuids, "GPU-bbbb-1111,GPU-aaaa-0000") == JobGpus((1, 0))
    assert of("0", wrong, uuids, "GPU-cccc-2222") == JobGpus(missing=("GPU-cccc-2222",))
    assert of("0", BACKWARDS, FOUR, "0") == JobGpus((3,))  # a number is Slurm's own
    # One UUID for two numbers: the table has both.
    assert of("0,1", Gres((line(1, 0),)), uuids, "GPU-bbbb-1111") == JobGpus((1, 0))
    assert of("0,1", wrong, document(gpu(0, "GPU-aaaa-0000")), "GPU-aaaa-0000") == JobGpus((0,))


def test_a_uuid_that_a_silent_gpu_may_have_is_asked_of_the_table() -> None:
    silent = document(gpu(0, "GPU-aaaa-0000"), {"error": "GpuIsLost"})
    nvml = NVML._replace(wanted=((None, 2),))
    assert of("1", nvml, silent, "GPU-cccc-2222") == JobGpus((1,))
    assert of("1", Gres(problem="x"), silent, "GPU-cccc-2222") == JobGpus(problem="x")


MIG = document(
    gpu(0, "GPU-aaaa-0000", mig=True, mig_devices=[
        {"index": 0, "uuid": "MIG-1111-aaaa", "gi": 1, "ci": 0, "profile": "3g.20gb", "caps": [12, 13]},
        {"index": 1, "uuid": "MIG-2222-aaaa", "gi": 2, "ci": 0, "profile": "3g.20gb", "caps": [21, 22]},
    ]),
    gpu(1, "GPU-bbbb-1111"),
)  # fmt: skip


def test_a_mig_device_is_known_by_its_uuid_of_either_form() -> None:
    assert of("1", Gres(problem="x"), MIG, "MIG-2222-aaaa") == JobGpus(slices=((0, 1),))
    assert of("1", Gres(problem="x"), MIG, "MIG-GPU-aaaa-0000/1/0") == JobGpus(slices=((0, 0),))
    whole = NVML._replace(wanted=((None, 3),), release=2411)
    assert of("0,2", whole, MIG, "0,MIG-2222-aaaa") == JobGpus((1,), slices=((0, 1),))


def test_a_gpu_that_is_gone_from_nvml_leaves_slurms_numbers_untold() -> None:
    seven = document(*(gpu(minor) for minor in range(7)))
    eight = NVML._replace(wanted=((None, 8),))
    assert "7 of the 8" in of("2", eight, seven).problem
    assert of("2", eight, document(*(gpu(minor) for minor in range(8)))) == JobGpus((2,))
    lost = document(gpu(0), {"error": "GpuIsLost"}, gpu(2))
    assert of("1", NVML._replace(wanted=((None, 3),)), lost) == JobGpus((1,))


def test_another_vendors_gpus_are_named_and_not_judged() -> None:
    amd = Gres((Line(None, "/dev/dri/renderD128", ("/dev/dri/renderD128",), ("other:/dev/dri/renderD128",), 1),))
    assert of("0", amd, document()) == JobGpus(other="/dev/dri/renderD128")
    assert of("0,7", Gres(wanted=((None, 8),), autodetect="rsmi"), document()) == JobGpus(other="AutoDetect=rsmi")
    assert expected(amd, document()) == Expected(other="/dev/dri/renderD128")
    assert expected(Gres(wanted=((None, 8),), autodetect="oneapi"), document()).other == "AutoDetect=oneapi"


@pytest.mark.parametrize(
    ("gres", "facts", "found"),
    [
        (Gres(), FOUR, Expected()),
        (Gres((line(0, 1),), wanted=()), document(), Expected()),  # no Gres= here: the lines are for nothing
        (Gres((line(0, 1, 2, 3),)), FOUR, Expected(4)),
        (Gres((line(0, 1, 2, 7),)), FOUR, Expected(4, ("/dev/nvidia7",))),
        (Gres((line(0, 1, 7),), wanted=((None, 2),)), FOUR, Expected(2)),  # slurmd drops the third
        (Gres((line(0, 1),)), document(gpu(0), {"error": "NotRead"}), Expected(2, (), 0, "some GPUs did not tell")),
        (NVML, FOUR, Expected(4)),
        (NVML._replace(wanted=((None, 8),)), FOUR, Expected(8, (), 4)),
        (NVML._replace(wanted=((None, 2),)), FOUR, Expected(2)),
        (NVML._replace(wanted=()), FOUR, Expected()),
        (NVML, document(), Expected(4, (), 4)),  # the driver is not there
    ],
)
def test_what_the_node_should_have(gres: Gres, facts: FactsDocument, found: Expected) -> None:
    answer = expected(gres, facts)
    assert answer._replace(problem=answer.problem[: len(found.problem)]) == found
