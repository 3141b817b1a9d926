"""Before and after a job: what changed on its GPUs, who is to blame, what was left behind."""

from __future__ import annotations

from typing import Any

import pytest

from preflight.checks.changes import MEMORY_NOISE, changes
from preflight.checks.registry import Context, JobGpus
from preflight.checks.run import run_checks
from preflight.facts.view import View
from preflight.policy.model import Policy


def gpu(index: int, **more: Any) -> dict[str, Any]:
    values = {
        "uuid": f"GPU-{index}",
        "ecc_uncorrected_volatile": 0,
        "ecc_uncorrected_aggregate": 5,
        "remap_pending": False,
        "memory_used": 0,
        "processes": [],
    }
    return {"index": index, **values, **more}


def facts(*devices: dict[str, Any], available: int = 60 << 30) -> dict[str, Any]:
    return {"memory": {"total": 64 << 30, "available": available}, "gpus": {"devices": list(devices)}}


SAME = facts(gpu(0), gpu(1))


def test_without_a_prolog_there_is_nothing_to_compare() -> None:
    assert changes(None, SAME, None) == []
    assert changes({}, SAME, None) == []
    assert changes(SAME, SAME, None) == []


@pytest.mark.parametrize(
    ("key", "before", "after", "blame"),
    [
        ("ecc_uncorrected_volatile", 0, 2, "node"),
        ("ecc_uncorrected_aggregate", 5, 7, "node"),
        ("remap_pending", False, True, "node"),
        ("memory_used", 0, MEMORY_NOISE + 1, "user"),
    ],
)
def test_a_changed_counter_is_named_with_its_blame(key: str, before: Any, after: Any, blame: str) -> None:
    found = changes(SAME, facts(gpu(0), gpu(1, **{key: after})), None)
    assert found == [{"fact": f"gpu1.{key}", "before": before, "after": after, "blame": blame}]


def test_noise_is_no_change() -> None:
    after = facts(gpu(0, memory_used=MEMORY_NOISE), gpu(1), available=(60 << 30) - MEMORY_NOISE)
    assert changes(SAME, after, None) == []


def test_memory_that_did_not_come_back_is_the_users() -> None:
    found = changes(SAME, facts(gpu(0), gpu(1), available=50 << 30), None)
    assert found == [{"fact": "memory.available", "before": 60 << 30, "after": 50 << 30, "blame": "user"}]


def test_processes_that_stay_are_the_users() -> None:
    after = facts(gpu(0, processes=[{"pid": 9, "used_memory": 1}, {"pid": 7, "used_memory": None}]), gpu(1))
    assert changes(SAME, after, None) == [{"fact": "gpu0.processes", "before": [], "after": [7, 9], "blame": "user"}]


def test_only_the_jobs_gpus_count_and_they_are_told_apart_by_uuid() -> None:
    after = facts(gpu(1, ecc_uncorrected_volatile=2), gpu(0))  # their order changed
    assert changes(SAME, after, JobGpus((1,))) == []
    assert [one["fact"] for one in changes(SAME, after, JobGpus((0,)))] == ["gpu1.ecc_uncorrected_volatile"]


def test_a_gpu_that_was_not_there_before_or_says_less_now_is_no_change() -> None:
    assert changes(facts(gpu(0)), facts(gpu(0), gpu(1)), None) == []
    assert (
        changes(SAME, facts(gpu(0), {"index": 1, "uuid": "GPU-1", "error": "GpuIsLost", "processes": []}), None) == []
    )


def test_an_attribute_without_a_number_breaks_nothing() -> None:
    assert changes(facts(gpu(0, memory_used=None)), facts(gpu(0, memory_used=5)), None) == []
    assert changes(facts(gpu(0)), facts(gpu(0, memory_used=None)), None) == []


def test_one_lost_gpu_does_not_match_another_by_its_missing_uuid() -> None:
    before = facts({"index": 0, "error": "GpuIsLost"})
    after = facts({"index": 1, "error": "GpuIsLost", "processes": [{"pid": 1, "used_memory": 0}]})
    assert changes(before, after, None) == []


def epilog(
    after: dict[str, Any], before: dict[str, Any] | None, positions: tuple[int, ...] | None
) -> list[tuple[str, ...]]:
    view = View(after, {})
    gpus = None if positions is None else JobGpus(positions)
    found = run_checks(Context("epilog", view, view, Policy(), gpus=gpus, before=before))
    wanted = ("gpu.processes", "gpu.ecc.risen")
    return [(one.check, one.subject, one.status, one.blame) for one in found if one.check in wanted]


def test_processes_left_on_the_jobs_gpus_warn_about_the_user() -> None:
    after = facts(gpu(0, processes=[{"pid": 9, "used_memory": 1}]), gpu(1, processes=[{"pid": 8, "used_memory": 1}]))
    assert epilog(after, SAME, (0,)) == [("gpu.processes", "gpu0", "warn", "user")]
    assert epilog(SAME, SAME, (0, 1)) == [("gpu.processes", f"gpu{at}", "pass", "user") for at in (0, 1)]
    assert epilog(after, SAME, ()) == []
    assert epilog(after, SAME, None) == []


def test_errors_that_came_while_the_job_ran_are_told() -> None:
    after = facts(gpu(0, ecc_uncorrected_aggregate=9), gpu(1, ecc_uncorrected_aggregate=1))
    assert ("gpu.ecc.risen", "gpu0", "warn", "node") in epilog(after, SAME, (0, 1))
    assert not [row for row in epilog(after, SAME, (0, 1)) if row[:2] == ("gpu.ecc.risen", "gpu1")]
    assert not [row for row in epilog(after, None, (0,)) if row[0] == "gpu.ecc.risen"]


def cut(*processes: tuple[int, int], **more: Any) -> dict[str, Any]:
    """A GPU with two MIG devices, and (pid, gpu instance) of its processes."""
    listed = [{"index": at, "profile": "3g.40gb", "gi": at + 1, "ci": 0} for at in range(2)]
    running = [{"pid": pid, "used_memory": 1, "gi": gi, "ci": 0} for pid, gi in processes]
    return gpu(0, mig_devices=listed, processes=running, **more)


def test_what_others_do_on_the_gpu_of_a_mig_device_is_no_blame_of_the_job() -> None:
    mine = JobGpus((), slices=((0, 0),))
    others = facts(cut((9, 2), memory_used=9 << 30))
    view = View(others, {})
    found = run_checks(Context("epilog", view, view, Policy(), gpus=mine, before=facts(cut())))
    assert [one.status for one in found if one.check == "gpu.processes"] == ["pass"]
    assert changes(facts(cut()), others, mine) == []
    assert [one["fact"] for one in changes(facts(cut()), others, None)] == ["gpu0.memory_used", "gpu0.processes"]


def test_a_process_left_on_the_jobs_mig_device_is_told() -> None:
    mine = JobGpus((), slices=((0, 1),))
    after = facts(cut((8, 1), (9, 2)))
    view = View(after, {})
    found = run_checks(Context("epilog", view, view, Policy(), gpus=mine, before=facts(cut())))
    (left,) = (one for one in found if one.check == "gpu.processes")
    assert (left.status, left.blame, left.observed) == ("warn", "user", "9")
    assert left.message == "1 processes left on GPU 0 MIG 3g.40gb: 9"
    assert changes(facts(cut()), after, mine) == [
        {"fact": "gpu0.processes", "before": [], "after": [9], "blame": "user"}
    ]


def test_an_error_that_came_on_the_gpu_of_a_mig_device_is_told_to_its_job() -> None:
    after = facts(cut(ecc_uncorrected_aggregate=9))
    view = View(after, {})
    for place in (0, 1):
        mine = JobGpus((), slices=((0, place),))
        found = run_checks(Context("epilog", view, view, Policy(), gpus=mine, before=facts(cut())))
        (risen,) = (one for one in found if one.check == "gpu.ecc.risen")
        assert risen.message.startswith("GPU 0 MIG 3g.40gb: 4 uncorrected ECC errors")


def left_on(
    mine: JobGpus, *processes: dict[str, Any], before: tuple[dict[str, Any], ...] = ()
) -> tuple[list[tuple[str, str, str | None]], list[dict[str, Any]]]:
    """Return (status, blame, observed) of gpu.processes in an epilog, and what changed on the GPU."""
    after = facts(gpu(0, processes=list(processes), memory_used=9 << 30))
    then = facts(gpu(0, processes=list(before)))
    view = View(after, {})
    found = run_checks(Context("epilog", view, view, Policy(), gpus=mine, before=then))
    rows = [(one.status, one.blame, one.observed) for one in found if one.check == "gpu.processes"]
    return rows, changes(then, after, mine)


def ran(pid: int, job: int | None = None) -> dict[str, Any]:
    return {"pid": pid, "used_memory": 1} | ({} if job is None else {"job": job})


ALONE, SHARED = JobGpus((0,), job=7), JobGpus((0,), job=7, shared=True)


@pytest.mark.parametrize("mine", [ALONE, SHARED])
def test_another_jobs_processes_and_memory_are_no_blame(mine: JobGpus) -> None:
    assert left_on(mine, ran(9, job=8)) == ([("pass", "user", "none")], [])


@pytest.mark.parametrize("mine", [ALONE, SHARED])
def test_of_several_jobs_processes_the_jobs_own_are_told(mine: JobGpus) -> None:
    rows, changed = left_on(mine, ran(9, job=8), ran(10, job=7), before=(ran(9, job=8),))
    assert rows == [("warn", "user", "10")]
    assert changed == [{"fact": "gpu0.processes", "before": [], "after": [10], "blame": "user"}]


def test_a_process_of_nobody_knows_whom_is_the_jobs_only_where_it_has_the_gpu_alone() -> None:
    assert left_on(ALONE, ran(9))[0] == [("warn", "user", "9")]
    assert {one["fact"] for one in left_on(ALONE, ran(9))[1]} == {"gpu0.memory_used", "gpu0.processes"}
    assert left_on(SHARED, ran(9)) == ([("unknown", "user", "9")], [])
    assert left_on(ALONE, ran(9), ran(10, job=8)) == ([("unknown", "user", "9")], [])  # another job is on it


def test_what_ran_on_a_shared_gpu_before_the_job_is_not_the_jobs() -> None:
    assert left_on(SHARED, ran(9), before=(ran(9), ran(8))) == ([("pass", "user", "none")], [])


def test_another_job_on_another_slice_does_not_make_the_jobs_own_shared() -> None:
    mine = JobGpus((), slices=((0, 0),), job=7)
    after = facts(cut((9, 1), (8, 2)))
    after["gpus"]["devices"][0]["processes"][1]["job"] = 8
    view = View(after, {})
    found = run_checks(Context("epilog", view, view, Policy(), gpus=mine, before=facts(cut())))
    (left,) = (one for one in found if one.check == "gpu.processes")
    assert (left.status, left.blame, left.observed) == ("warn", "user", "9")


def test_processes_on_a_shared_gpu_are_no_matter_of_the_prolog() -> None:
    view = View(facts(gpu(0, processes=[ran(9), ran(10, job=8)], memory_used=9 << 30)), {})
    found = run_checks(Context("prolog", view, view, Policy(), gpus=SHARED))
    assert not [one for one in found if one.status in ("fail", "warn")]
    assert "gpu.processes" not in [one.check for one in found]
