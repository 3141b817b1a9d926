"""What the misfit of one task of an array says of the others."""

import pytest

from preflight.checks.finding import Finding
from preflight.facts.document import FactsDocument
from preflight.hooks import tasks
from preflight.hooks.move import Move
from preflight.hooks.tasks import Other, sends_every_task_away
from preflight.slurm.environment import Job
from preflight.slurm.job import JobState, Queued

H100 = {"name": "NVIDIA H100 80GB HBM3", "memory": 85520809984, "compute_capability": "9.0"}
A100 = {"name": "NVIDIA A100-SXM4-80GB", "memory": 85899345920, "compute_capability": "8.0"}
STATE = JobState("5_1", True, True, "", "RUNNING", 0, 1, 9, "", array="5")


def document(*devices: dict[str, object]) -> FactsDocument:
    facts = {"gpus": {"count": len(devices), "devices": list(devices)}}
    return FactsDocument("n1", "2026-11-29T00:00:00Z", facts, {}, {})


def failed(text: str, check: str = "requirement", blame: str = "job") -> Finding:
    return Finding(check, "fail", blame, "", text, "", "", None, "--require")


GPUS = Job(7, gpus=(0,), gpus_text="0")


@pytest.mark.parametrize(
    ("clause", "job", "devices", "every"),
    [
        ("ubuntu>=22.04|rhel>=9", GPUS, (H100, A100), True),
        ("driver>=550", GPUS, (), True),
        ("module=cuda/12.4", GPUS, (H100,), True),
        ("tmp>=100G", GPUS, (H100,), False),  # what is used up now may be free for the next task
        ("shm>=1G|os=ubuntu", GPUS, (H100,), False),
        ("gpu=b200", GPUS, (H100, H100), True),
        ("gpu=b200", GPUS, (H100, A100), False),  # another task may get the other GPU
        ("gpu=b200", GPUS, (), False),
        ("gpu=b200", Job(7), (H100, A100), True),  # without a GPU it fails whatever the node has
        ("gpu.memory>=90G|os=ubuntu", GPUS, (H100, H100), True),
        ("ecc", GPUS, (H100, H100), False),
        ("mig.count>=2", GPUS, (H100, H100), False),
        ("gpu=b200", GPUS, ({**H100, "mig_devices": [{"profile": "1g.10gb"}]},) * 2, False),
        ("cuda>=12.4", GPUS, (H100, A100), False),
        ("cuda>=12.4", GPUS, (H100, H100), True),
        ("os=rocky" + "|os=ubuntu" * 40, GPUS, (H100,), False),
        ("no such", GPUS, (H100,), False),
    ],
)
def test_a_clause_that_fails_for_every_task_is_told_from_one_that_may_not(
    clause: str, job: Job, devices: tuple[dict[str, object], ...], every: bool
) -> None:
    assert sends_every_task_away([failed(clause)], document(*devices), job) is every
    assert sends_every_task_away([failed(clause, "expectation", "node")], document(*devices), job) is False
    assert sends_every_task_away([], document(*devices), job) is False


def other(number: int, excluded: str = "", comment: str = "", restarts: int = 0, priority: int = 9) -> Other:
    return Other(number, Queued(f"5_{number}", "PENDING", priority, "gpu", excluded), restarts, "", comment)


MOVED = "preflight:moved:n1:run0: needs gpu=b200 (every task of the array)"
EXCLUDED = "preflight:excluded:n2:run0: task 5_4 was sent away: needs gpu=b200"


@pytest.mark.parametrize(
    ("comment", "excluded", "nodes"),
    [
        (MOVED, "n1", {"n1": "task 5_3 was sent away: needs gpu=b200"}),
        (f"billing=3; {MOVED}; {EXCLUDED}", "n[1-2]", {"n1", "n2"}),
        (EXCLUDED, "n2", {"n2": "task 5_4 was sent away: needs gpu=b200"}),
        ("preflight:moved:n1:run0: needs tmp>=1T", "n1", {}),  # of that task alone
        (f"{MOVED}; {EXCLUDED}", "", {}),  # its user lets it try them again
        ("", "n[1-9]", {}),  # its user's own
    ],
)
def test_what_other_tasks_say_of_nodes(comment: str, excluded: str, nodes: object) -> None:
    found = tasks.shared([other(3, excluded, comment)])
    assert (set(found) if isinstance(nodes, set) else found) == nodes


WHAT = Move(Job(7), "n3", "needs gpu=b200", 3, True)


def answer(excluded: str = "", comment: str = "", left: str = "n9", restarts: int = 0, required: str = "") -> object:
    nodes = {"n1": "one", "n3": "three"}
    return tasks._answer(WHAT, STATE, (excluded, comment, restarts, required), nodes, "gpu", set(left.split()))


def test_tasks_that_wait_exclude_the_nodes_as_well() -> None:
    text = "preflight:excluded:n1:run0: one; preflight:excluded:n3:run0: three"
    assert answer() == ({"AdminComment": text, "ExcNodeList": "n[1,3]"}, "")
    assert answer("n1,n3", text) == ({}, "")


def test_where_no_node_is_left_they_get_our_mark_with_the_reason() -> None:
    values, reason = answer("n1,n3", "x; preflight:excluded:n1:run0: one", "n1 n3")  # type: ignore[misc]
    assert reason == "no node is left that could fit: 0 of partition gpu, 1 needed"
    assert values["AdminComment"].startswith("x; preflight:excluded:n1:run0: one; preflight:excluded:n3:run0: three; ")
    assert values["AdminComment"].endswith(f"; preflight:held:n3:run0: {reason}: needs gpu=b200")
    values, _ = answer("n1,n3", "", "n1", restarts=2)  # type: ignore[misc]
    assert "preflight:held:n3:run1: no node" in values["AdminComment"]  # of the run that ended last
    assert answer("n1,n3", values["AdminComment"], "n1", restarts=2) == ({}, reason)  # once


def test_tasks_that_ask_for_the_node_by_name_are_held_without_an_exclusion() -> None:
    values, reason = answer(required="n[3-4]")  # type: ignore[misc]
    assert reason == "it asks for n3 by name (--nodelist), and that node does not fit"
    assert set(values) == {"AdminComment"}


def test_a_node_that_the_user_lets_a_task_try_again_is_not_excluded_for_what_others_met() -> None:
    values, reason = answer("", "preflight:excluded:n1:run0: one")  # type: ignore[misc]
    assert (values["ExcNodeList"], reason) == ("n3", "")


@pytest.mark.parametrize(
    ("numbers", "text"), [([5], "5"), ([3, 1, 2], "1-3"), ([1, 2, 4, 9, 10], "1-2,4,9-10"), ([7, 7], "7")]
)
def test_tasks_are_written_as_slurm_writes_them(numbers: list[int], text: str) -> None:
    assert tasks.ranges(numbers) == text
