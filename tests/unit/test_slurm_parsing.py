"""Reading jobs and nodes from Slurm's commands, whose text is hostile; the stand-ins record what they are asked."""

import json
import sys
import time
from pathlib import Path

import pytest

from preflight.slurm import job, node
from preflight.slurm.commands import Slurm, SlurmError

SQUEUE = """#!{python} -IS
import json, sys
place = {place!r}
open(place + "/log", "a").write(json.dumps(["squeue"] + sys.argv[1:]) + "\\n")
answers = json.load(open(place + "/answers"))
asked = sys.argv[-1]
wide, narrow = "JobArrayID:40,JobID:40,", "%i %A ="
key, before, mark = (asked.split(":")[0] if sys.argv[-2] == "-O" else asked), "", ""
if ":0|" in asked:
    mark = asked.split(":0", 1)[1].split(",")[0]
if asked.startswith(wide):
    key, before = asked[len(wide):].split(":")[0], "%-40s%-40s" % (sys.argv[-3], "42")
elif asked.startswith(narrow):
    key, before = asked[len(narrow):], sys.argv[-3] + " 42 ="
if key not in answers:
    sys.stderr.write("squeue: error: Invalid job format specification: " + key + "\\n")
    sys.exit(0)
sys.stdout.write(before + answers[key].replace("MARK", mark) if answers[key] else "")
"""


class Desk:
    """Stand-ins that answer by format, as squeue and sinfo do; a format without an answer is unknown to them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for name in ("squeue", "sinfo", "scontrol", "scancel"):
            (place / name).write_text(SQUEUE.replace("squeue", name).format(place=str(place), python=sys.executable))
            (place / name).chmod(0o755)
        self.slurm = Slurm(str(place), "", time.monotonic() + 60, 60)

    def answer(self, answers: dict[str, str]) -> Slurm:
        (self.place / "answers").write_text(json.dumps(answers))
        return self.slurm

    def asked(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.place / "log").read_text().splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


ROW = {
    "JobID": "42", "ArrayJobID": "42", "ArrayTaskID": "N/A", "BatchFlag": "1", "Requeue": "1", "RestartCnt": "3",
    "NumNodes": "2-4", "PriorityLong": "4294901701", "UserID": "1000", "ReqNodes": "n[1-2]", "State": "PENDING",
    "admin_comment": "theirs; preflight:moved:n1:run0: x ", "Comment": "(null)", "Prefer": "", "Feature": "(null)",
}  # fmt: skip


def rows(*changes: dict[str, str]) -> dict[str, str]:
    """Return squeue's answer: a row of all fields for each of ``changes``."""
    made = ("".join(f"{value}MARK" for value in {**ROW, **change}.values()) for change in changes)
    return {"JobID": "".join(f"{one}\n" for one in made)}


@pytest.mark.parametrize(
    ("found", "name", "array"),
    [
        ([{}], "42", ""),
        (
            [{"JobID": "41", "ArrayTaskID": "0"}, {"JobID": "43", "ArrayTaskID": "1"}, {"ArrayTaskID": "2"}],
            "42_2",
            "42",
        ),
        ([{"JobID": "41", "ArrayTaskID": "0"}, {"ArrayJobID": "40", "ArrayTaskID": "10"}], "40_10", "40"),
    ],
)
def test_one_task_of_an_array_is_never_addressed_as_the_array(
    desk: Desk, found: list[dict[str, str]], name: str, array: str
) -> None:
    state = job.find(desk.answer(rows(*found)), 42)
    assert (state.name, state.array) == (name, array)
    assert [call[:5] for call in desk.asked()] == [["squeue", "-h", "-r", "-j", "42"]]


@pytest.mark.parametrize("found", [[], [{"JobID": "41", "ArrayTaskID": "0"}], [{"JobID": "4242"}]])
def test_a_job_that_is_not_there_is_said(desk: Desk, found: list[dict[str, str]]) -> None:
    with pytest.raises(SlurmError, match="job 42 is not in the queue"):
        job.find(desk.answer(rows(*found)), 42)


def test_a_job_is_read_in_one_command(desk: Desk) -> None:
    slurm = desk.answer(rows({}))
    assert job.find(slurm, 42) == job.JobState(
        "42",
        True,
        True,
        "n[1-2]",
        "PENDING",
        3,
        2,
        4294901701,
        "theirs; preflight:moved:n1:run0: x",
        "",
        False,
        1000,
        "",
    )
    (call,) = desk.asked()
    assert "show" not in call


def test_an_empty_field_is_empty(desk: Desk) -> None:
    empty = {"BatchFlag": "0", "Requeue": "0", "RestartCnt": "0", "NumNodes": "1", "admin_comment": "(null)"}
    state = job.find(desk.answer(rows({**empty, "ReqNodes": "", "PriorityLong": "0"})), 42)
    assert state[1:5] == (False, False, "", "PENDING")
    assert (state.restarts, state.nodes, state.priority, state.admin_comment) == (0, 1, 0, "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"BatchFlag": "N/A"}, {"BatchFlag": ""}, {"Requeue": "2"}, {"Requeue": ""}, {"RestartCnt": "N/A"},
        {"PriorityLong": "high"}, {"PriorityLong": ""}, {"NumNodes": ""}, {"UserID": "root"},
    ],
)  # fmt: skip
def test_an_answer_of_another_kind_is_refused(desk: Desk, wrong: dict[str, str]) -> None:
    """Nothing where a value should be once cancelled a batch job as an interactive one."""
    with pytest.raises(SlurmError, match="squeue said"):
        job.find(desk.answer(rows(wrong)), 42)


def test_no_answer_is_no_value(desk: Desk) -> None:
    with pytest.raises(SlurmError, match="squeue gave no %x"):
        job.excluded(desk.answer({"%x": ""}), "42")


@pytest.mark.parametrize("field", ["Prefer", "Feature"])
def test_a_preference_stands_among_the_features_of_a_job_that_runs(desk: Desk, field: str) -> None:
    assert job.find(desk.answer(rows({field: "rocky"})), 42).prefers


def test_a_hostile_comment_is_one_value_of_one_job(desk: Desk) -> None:
    text = "x Requeue=0 ExcNodeList=n[1-9]\n42 42\n second line"
    state = job.find(desk.answer(rows({"JobID": "41", "admin_comment": text}, {"Comment": text, "Requeue": "1"})), 42)
    assert (state.comment, state.requeue, state.name) == (text, True, "42")


def test_the_queue_is_read_with_the_excluded_nodes(desk: Desk) -> None:
    lines = "7|5|3|PENDING|0|gpu,long|n[1-2]\n6|5|2|RUNNING|4294901701|gpu|\n9|9|N/A|PENDING|1|gpu|(null)\n"
    assert job.queued(desk.answer({"%A|%F|%K|%T|%Q|%P|%x": lines}), "5") == [
        job.Queued("5_3", "PENDING", 0, "gpu,long", "n[1-2]"),
        job.Queued("5_2", "RUNNING", 4294901701, "gpu", ""),
        job.Queued("9", "PENDING", 1, "gpu", ""),
    ]


def test_of_a_heterogeneous_job_the_component_asked_for_is_read(desk: Desk) -> None:
    """squeue prints every component, the leader's last."""
    answer = "".join(f"{name:<40}{number:<40}{flag:<8}\n" for name, number, flag in (("43+1", 44, 0), ("43+0", 43, 1)))
    (desk.place / "squeue").write_text(f"#!/bin/sh\ncat <<END\n{answer}END\n")
    assert job.field(desk.slurm, "43", "BatchFlag") == "1"
    assert job.field(desk.slurm, "44", "BatchFlag") == "0"
    with pytest.raises(SlurmError, match="no BatchFlag of job 4"):
        job.field(desk.slurm, "4", "BatchFlag")


def test_another_spelling_of_the_admin_comment_is_tried(desk: Desk) -> None:
    assert job.admin_comment(desk.answer({"AdminComment": "kept\n"}), "42") == "kept"
    with pytest.raises(SlurmError, match="no field admin_comment"):
        job.admin_comment(desk.answer({}), "42")


def test_a_hostile_comment_is_one_value(desk: Desk) -> None:
    text = "x Requeue=0 ExcNodeList=n[1-9]\n second line\n"
    assert job.admin_comment(desk.answer({"AdminComment": text}), "42") == text.rstrip()


def test_each_value_of_an_update_is_one_argument(desk: Desk) -> None:
    slurm = desk.answer({"AdminComment=a Requeue=0": "", "Requeue=0": ""})
    job.update(slurm, "42", ExcNodeList="n1", AdminComment="a Requeue=0")
    assert desk.asked() == [["scontrol", "update", "JobId=42", "ExcNodeList=n1", "AdminComment=a Requeue=0"]]


def failing(desk: Desk, name: str, text: str) -> Slurm:
    (desk.place / name).write_text(f"#!/bin/sh\necho '{text}' >&2\nexit 1\n")
    return desk.slurm


def test_that_another_node_was_first_is_success(desk: Desk) -> None:
    job.requeue_held(failing(desk, "scontrol", "Job is pending execution for job 42"), "42")
    with pytest.raises(SlurmError, match="Invalid job id"):
        job.requeue_held(failing(desk, "scontrol", "Invalid job id specified"), "42")


def test_the_other_actions_name_one_job(desk: Desk) -> None:
    slurm = desk.answer({"42_2": "", "text": ""})
    for act in (job.requeue_held, job.release, job.hold, job.cancel):
        act(slurm, "42_2")
    job.notify(slurm, "42_2", "text")
    assert desk.asked() == [
        ["scontrol", "requeuehold", "42_2"],
        ["scontrol", "release", "42_2"],
        ["scontrol", "uhold", "42_2"],
        ["scancel", "42_2"],
        ["scontrol", "notify", "42_2", "text"],
    ]


def test_nodes_with_gpus_are_told_from_those_without(desk: Desk) -> None:
    slurm = desk.answer({"%N %G": "n1 gpu:h100:8(S:0-1)\nn2 (null)\nn1 gpu:h100:8\nn3 nic:1,gpu:1\n"})
    assert job.nodes_of(slurm, "gpu", gpus=True) == {"n1", "n3"}
    assert job.nodes_of(slurm, "gpu", gpus=False) == {"n1", "n2", "n3"}


@pytest.mark.parametrize(
    ("kind", "before", "now", "by_hand"),
    [
        ("priority/basic", 7, 4000, True),
        ("priority/multifactor", 90000, 100, True),
        ("priority/multifactor", 120, 100, False),
    ],
)
def test_a_priority_set_by_hand_is_recognised(desk: Desk, kind: str, before: int, now: int, by_hand: bool) -> None:
    slurm = desk.answer({"%Q": f"{now}\n", "config": f"PriorityFlags =\nPriorityType            = {kind}\n"})
    assert job.set_by_hand(slurm, "42", before) is by_hand
    (desk.place / "slurm.conf").write_text(f"# PriorityType=x\nprioritytype = {kind} # here\n")
    assert job.set_by_hand(slurm._replace(conf=f"{desk.place}/slurm.conf"), "42", before) is by_hand
    unsaid = desk.answer({"%Q": "1\n", "config": "nothing\n"})
    assert job.set_by_hand(unsaid, "42", 9) is False


def states(text: str, reason: str = "none", user: str = "root", when: str = "Unknown") -> dict[str, str]:
    fields = "".join(f"{one}MARK" for one in (reason, user, when))
    return {"StateComplete": "".join(f"{line}MARK{fields}\n" for line in text.splitlines())}


@pytest.mark.parametrize(
    ("text", "flags", "away", "only_drained"),
    [
        ("idle\n", ("IDLE",), False, False),
        ("mixed\n", ("MIXED",), False, False),
        ("idle+drain \n", ("IDLE", "DRAIN"), True, True),
        ("allocated+drain\nallocated+drain\n", ("ALLOCATED", "DRAIN"), True, True),
        ("drained\n", ("DRAIN",), True, True),
        ("draining*\n", ("DRAIN",), True, True),
        ("down*\n", ("DOWN",), True, False),
        ("down+drain\n", ("DOWN", "DRAIN"), True, False),
        ("idle+cloud+drain\n", ("IDLE", "CLOUD", "DRAIN"), True, True),
        ("mixed+dynamic_norm+drain\n", ("MIXED", "DYNAMIC_NORM", "DRAIN"), True, True),
        ("idle+drain+reserved\n", ("IDLE", "DRAIN", "RESERVED"), True, False),
        ("idle+drain+maintenance\n", ("IDLE", "DRAIN", "MAINTENANCE"), True, False),
        ("idle+drain+reboot_requested\n", ("IDLE", "DRAIN", "REBOOT_REQUESTED"), True, False),
        ("fail\n", ("FAIL",), True, False),
        ("idle+drain+not_responding\n", ("IDLE", "DRAIN", "NOT_RESPONDING"), True, False),
        ("idle+reserved\n", ("IDLE", "RESERVED"), False, False),
        ("idle+powered_down\n", ("IDLE", "POWERED_DOWN"), False, False),
        ("mixed+maintenance\n", ("MIXED", "MAINTENANCE"), False, False),
    ],
)
def test_a_nodes_state_is_its_flags(
    desk: Desk, text: str, flags: tuple[str, ...], away: bool, only_drained: bool
) -> None:
    state = node.read(desk.answer(states(text)), "n1")
    assert (state.flags, state.away, state.only_drained) == (flags, away, only_drained)


def test_a_reason_that_looks_like_a_state_is_only_a_reason(desk: Desk) -> None:
    state = node.read(desk.answer(states("idle\n", "State=DRAIN admin: look", "root(0)", "2026-11-24T14")), "n1")
    assert state == node.NodeState(("IDLE",), "State=DRAIN admin: look", "root(0)", "2026-11-24T14")
    assert not state.away


def test_an_unknown_node_is_said(desk: Desk) -> None:
    with pytest.raises(SlurmError, match="does not know node n1"):
        node.read(desk.answer(states("")), "n1")


def test_drain_and_resume_name_one_node(desk: Desk) -> None:
    slurm = desk.answer({"Reason=preflight:x:y: a b": "", "State=RESUME": ""})
    node.drain(slurm, "n1", "preflight:x:y: a b")
    node.resume(slurm, "n1")
    assert desk.asked() == [
        ["scontrol", "update", "NodeName=n1", "State=DRAIN", "Reason=preflight:x:y: a b"],
        ["scontrol", "update", "NodeName=n1", "State=RESUME"],
    ]


def row(name: str, when: str, reason: str, state: str = "idle+drain", user: str = "root") -> str:
    return "".join(f"{one}MARK" for one in (name, state, reason, user, when)) + "\n"


def test_our_drains_are_counted_by_time_and_name_once_each(desk: Desk) -> None:
    rows = row("n3", "2026-11-24T10:00:00", "preflight:gpu.reset:gpu0: x") * 2
    rows += row("n2", "2026-11-24T10:00:00", "preflight:gpu.reset:gpu0: x")
    rows += row("n1", "2026-11-24T12:00:00", "preflight:driver.match:driver: y")
    rows += row("n4", "2026-11-24T09:00:00", "admin: preflight:x")
    rows += row("n5", "Unknown", "none", "idle")
    rows += row("n[7-8]", "2026-11-24T13:00:00", "preflight:gpu.reset:gpu0: NodeList=n9\nn9 preflight:")
    rows += row("n6", "2026-11-24T08:00:00", "preflight:gpu.reset:gpu0: x", "idle")  # resumed, on 24.11
    rows += row("n9", "2026-11-24T08:00:00", "preflight:gpu.reset:gpu0: x : Kill task failed")  # drained after that
    rows += row("n10", "2026-11-24T14:00:00", "preflight:gpu.reset:gpu0: x : Not responding", "down+drain", "slurm")
    seen = node.look(desk.answer({"NodeList": rows}), "n1")
    assert [name for _, name in seen.ours] == ["n2", "n3", "n1", "n7", "n8", "n10"]
    assert (seen.nodes, seen.rank("n1"), seen.rank("n6")) == (10, 2, 6)
    assert seen.state == node.NodeState(
        ("IDLE", "DRAIN"), "preflight:driver.match:driver: y", "root", "2026-11-24T12:00:00"
    )
    assert len(desk.asked()) == 1
    assert "-N" not in desk.asked()[0]  # 20 s for 10,000 nodes


def test_a_node_that_is_not_among_all_is_said(desk: Desk) -> None:
    with pytest.raises(SlurmError, match="does not know node n1"):
        node.look(desk.answer({"NodeList": row("n2", "Unknown", "none", "idle")}), "n1")


@pytest.mark.parametrize(
    ("said", "user"), [("SlurmUser               = slurm(64030)\n", "slurm"), ("X=1\nSlurmUser = root(0)\n", "root")]
)
def test_slurms_own_user(desk: Desk, said: str, user: str) -> None:
    assert node.slurm_user(desk.answer({"config": said})) == user


@pytest.mark.parametrize("end", ["\u2028", "\x0b", "\x1c", "\x85", "\r"])
def test_only_a_newline_ends_a_row(desk: Desk, end: str) -> None:
    """What else str.splitlines cuts at is a user's to write: a comment that holds it is one value."""
    comment = f"require: cuda>=12.4{end}43                                      43"
    slurm = desk.answer({"%k": f"{comment}\n", "Comment": f"{comment}\n"})
    assert job.letter(slurm, "42", "k") == comment
    assert job.field(slurm, "42", "Comment") == comment
