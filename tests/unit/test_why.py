"""What became of a job, from recorded fields and reports: each state and reason, and what is said to type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from preflight.checks.finding import Finding
from preflight.report import model
from preflight.slurm.accounting import past
from preflight.slurm.commands import SlurmError
from preflight.slurm.marks import Mark, marks
from preflight.slurm.members import members
from preflight.slurm.models import JobInfo, Node
from preflight.submit.why.document import to_json
from preflight.submit.why.explain import explain
from preflight.submit.why.gather import Known, is_of, parse
from preflight.submit.why.limits import limit_of
from preflight.submit.why.model import KINDS, Candidates, Evidence, Explanation, JobRef
from preflight.submit.why.reasons import REASONS, reason
from preflight.submit.why.several import folded_tasks, tell
from preflight.submit.why.text import COLUMNS, render
from preflight.submit.why.words import exit_words
from report_samples import FAULT, MISFIT, START, report

NOW = START + 600
MOVED = "preflight:moved:n1:run0: needs cuda>=12.4, the node has 12.2"


def _job(**other: Any) -> JobInfo:
    values = {
        "id": 42, "name": "42", "job_name": "train", "array_job_id": None, "array_task_id": None, "array_tasks": "",
        "het_job_id": None, "het_offset": None, "user": "alice", "uid": 1000, "partition": "gpu", "state": "PENDING",
        "reason": "Priority", "priority": 100, "requeue": True, "batch": True, "restarts": 0, "nodes": "",
        "num_nodes": 1, "required": "", "excluded": "", "features": "", "prefer": "", "extra": "", "comment": "",
        "admin_comment": "", "gres": "", "submit": int(START) - 100, "eligible": None, "start": None, "end": None,
        "exit_code": "0:0", "dependency": "", "reservation": "",
    }  # fmt: skip
    return JobInfo(**(values | other))


def _told(*reports: dict[str, Any], **fields: Any) -> Explanation:
    return explain(Evidence("42", NOW, _job(**fields), "queue", reports=reports))


def _lines(told: Explanation) -> str:
    return render(told, NOW)


def _commands(told: Explanation) -> list[str]:
    return [command for step in told.steps for command in step.commands]


def _misfit(**other: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"findings": [MISFIT], "verdict": "mismatch", "node": "n1"}
    return report(**(values | other))


REASON_WORDS = [
    line for line in (Path(__file__).parent / "data" / "slurm_reasons.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]  # fmt: skip

# Every reason that squeue's man page lists (22.05), but for the families with a "*".
MAN_PAGE = [
    "AssociationJobLimit",
    "AssociationResourceLimit",
    "AssociationTimeLimit",
    "BadConstraints",
    "BeginTime",
    "Cleaning",
    "Dependency",
    "DependencyNeverSatisfied",
    "InactiveLimit",
    "InvalidAccount",
    "InvalidQOS",
    "Licenses",
    "NodeDown",
    "PartitionDown",
    "PartitionInactive",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
    "Priority",
    "Prolog",
    "QOSJobLimit",
    "QOSResourceLimit",
    "QOSTimeLimit",
    "QOSUsageThreshold",
    "ReqNodeNotAvail",
    "Reservation",
    "Resources",
    "WaitingForScheduling",
]


@pytest.mark.parametrize("word", MAN_PAGE)
def test_the_reasons_of_the_man_page_are_in_plain_words(word: str) -> None:
    told = _told(reason=word, dependency="afterok:7(unfulfilled)")
    assert told.kind == ("no-node-fits" if word == "BadConstraints" else "waiting")
    assert reason(word).known
    assert told.steps
    assert told.sentence.startswith("Job 42 waits: ")
    assert "{" not in told.sentence + "".join(_commands(told))


@pytest.mark.parametrize("word", REASON_WORDS)
def test_every_reason_of_the_releases_is_known_and_has_a_step(word: str) -> None:
    why = reason(word)
    assert why.known
    assert why.step
    told = _told(reason=word, dependency="afterok:7(unfulfilled)", required="")
    assert "own word" not in told.sentence
    assert "{" not in told.sentence + "".join(_commands(told))


@pytest.mark.parametrize(
    ("word", "field", "set_by", "tres", "scope", "measure"),
    [
        ("AssocGrpCpuLimit", "GrpTRES", "GrpTRES", "cpu", "group", ""),
        ("AssocGrpGRES", "GrpTRES", "GrpTRES", "gres/", "group", ""),
        ("AssocGrpCPUMinutesLimit", "GrpTRESMins", "GrpTRESMins", "cpu", "group", "minutes"),
        ("AssocGrpCPURunMinutesLimit", "GrpTRESRunMins", "GrpTRESRunMins", "cpu", "group", "run-minutes"),
        ("AssocGrpJobsLimit", "GrpJobs", "GrpJobs", "", "group", "jobs"),
        ("AssocGrpWallLimit", "GrpWall", "GrpWall", "", "group", "wall"),
        ("AssocMaxJobsLimit", "MaxJobs", "MaxJobs", "", "user", "jobs"),
        ("AssocMaxSubmitJobLimit", "MaxSubmitJobs", "MaxSubmitJobs", "", "user", "submit"),
        ("AssocMaxWallDurationPerJobLimit", "MaxWallPJ", "MaxWall", "", "job", "wall"),
        ("AssocMaxMemPerNode", "MaxTRESPN", "MaxTRESPerNode", "mem", "node", ""),
        ("AssocMaxNodeMinutesPerJob", "MaxTRESMinsPJ", "MaxTRESMinsPerJob", "node", "job", "minutes"),
        ("QOSMaxMemoryPerUser", "MaxTRESPU", "MaxTRESPerUser", "mem", "user", ""),
        ("QOSMaxSubmitJobPerUserLimit", "MaxSubmitJobsPU", "MaxSubmitJobsPerUser", "", "user", "submit"),
        ("QOSMinGRES", "MinTRESPJ", "MinTRESPerJob", "gres/", "job", ""),
        ("QOSMinCpuNotSatisfied", "MinTRESPJ", "MinTRESPerJob", "cpu", "job", ""),
        ("MaxGRESPerAccount", "MaxTRESPA", "MaxTRESPerAccount", "gres/", "account", ""),
        ("MaxSubmitJobsPerAccount", "MaxSubmitJobsPA", "MaxSubmitJobsPerAccount", "", "account", "submit"),
        ("MaxCpuRunMinsPerUser", "MaxTRESRunMinsPU", "MaxTRESRunMinsPerUser", "cpu", "user", "run-minutes"),
    ],
)
def test_limits_by_their_parts(word: str, field: str, set_by: str, tres: str, scope: str, measure: str) -> None:
    limit = limit_of(word)
    assert limit is not None
    assert (limit.field, limit.set_by, limit.tres, limit.scope, limit.measure) == (field, set_by, tres, scope, measure)
    told = _told(reason=word)
    assert f"({set_by})" in told.sentence
    assert f"(Slurm says {word})" in told.sentence
    assert _commands(told)[0].startswith("scontrol show assoc_mgr flags=")


def test_every_word_of_a_limit_is_read_as_one() -> None:
    limits = {word for word in REASON_WORDS if word.startswith(("Assoc", "QOS", "Max"))} - {
        "AssociationJobLimit", "AssociationResourceLimit", "AssociationTimeLimit", "MaxMemPerLimit",
        "MaxPoweredUpNodes", "QOSJobLimit", "QOSNotAllowed", "QOSResourceLimit", "QOSTimeLimit", "QOSUsageThreshold",
    }  # fmt: skip
    assert len(limits) > 150
    assert [word for word in sorted(limits) if limit_of(word) is None] == []


def test_a_word_that_is_not_known_is_said_to_be_slurms() -> None:
    told = _told(reason="SomethingNew")
    assert 'Slurm\'s own word for it is "SomethingNew"' in told.sentence
    assert not reason("SomethingNew").known
    assert _commands(told) == ["scontrol show job 42"]


def test_reasons_with_more_behind_them() -> None:
    assert reason("ReqNodeNotAvail, UnavailableNodes:n[1-2]") == REASONS["ReqNodeNotAvail"]
    assert "down, drained" in reason("Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs").means


def test_unavailable_nodes_are_told_those_that_preflight_drained_first() -> None:
    nodes = {
        "n1": Node("n1", ("DOWN",), "power", ("gpu",), (), (), "", "", 8, 1),
        "n2": Node("n2", ("IDLE", "DRAIN"), "preflight:gpu.present:gpu3: lost", ("gpu",), (), (), "", "", 8, 1),
        "n3": Node("n3", ("IDLE",), "", ("gpu",), (), (), "", "", 8, 1),
    }
    job = _job(reason="ReqNodeNotAvail, UnavailableNodes:n[1-2]", required="n[1-2]")
    told = explain(Evidence("42", NOW, job, "queue", nodes=nodes))
    assert told.lines == ("n2 is drained by Preflight: gpu.present:gpu3: lost", "n1 is down: power")
    assert "scontrol update JobId=42 ReqNodeList=" in _commands(told)


def test_after_a_move_the_requeue_delay_is_told() -> None:
    told = _told(reason="BeginTime", restarts=1, eligible=int(NOW) + 118, admin_comment=MOVED, excluded="n1")
    assert (told.kind, told.cause) == ("moved", "BeginTime")
    assert "moved off n1: needs cuda>=12.4, the node has 12.2" in told.sentence
    assert "in about 2 minutes at the earliest" in told.sentence


def test_after_a_move_slurms_own_reason_is_told_too() -> None:
    told = _told(reason="Resources", restarts=1, admin_comment=MOVED, excluded="n1")
    assert told.kind == "moved"
    assert "Now it waits: what it asks for is in use by other jobs." in told.sentence


def test_moved_several_times_and_running() -> None:
    requeued = model.action_block("requeue", "x")
    runs = [
        _misfit(job={"restart": run}, node=f"n{run}", started=START + run * 60, action=requeued) for run in range(2)
    ]
    ready = report(node="n9", job={"restart": 2}, started=START + 300)
    told = _told(*runs, ready, state="RUNNING", reason="None", nodes="n9", restarts=2, start=int(START) + 300)
    assert (told.kind, told.cause) == ("running", "ready")
    assert "sent away twice, from n[0-1]" in told.sentence
    assert [(stay.run, stay.outcome) for stay in told.stays] == [(0, "moved"), (1, "moved"), (2, "ready")]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("it asks for n1 by name (--nodelist), and that node does not fit: needs x", "node-by-name"),
        ("no node is left that could fit: 0 of partition gpu, 1 needed: needs x", "too-few-nodes"),
        ("it was moved 3 times already ([hook] max_requeues): needs x", "max-requeues"),
    ],
)
def test_our_holds(text: str, cause: str) -> None:
    comment = f"theirs; preflight:moved:n1:run2: needs x; preflight:held:n1:run2: {text}"
    told = _told(reason="job requeued in held state", priority=0, restarts=3, admin_comment=comment, excluded="n1,n5")
    assert (told.kind, told.cause) == ("held-by-preflight", cause)
    assert told.sentence.endswith("needs x.")
    assert "scontrol release 42" in _commands(told)
    if cause == "node-by-name":
        assert _commands(told)[0] == "scontrol update JobId=42 ReqNodeList= ExcNodeList=n[1,5]"
    if cause == "too-few-nodes":
        assert "scontrol update JobId=42 ExcNodeList=n5" in _commands(told)


def test_a_hold_that_was_released_and_overtaken_is_not_ours_any_more() -> None:
    comment = "preflight:held:n1:run0: it asks for n1 by name (--nodelist), and that node does not fit: needs x"
    told = _told(reason="JobHeldUser", priority=0, restarts=2, admin_comment=comment)
    assert told.kind == "held-by-user"


@pytest.mark.parametrize("word", ["launch failed requeued held", "launch_failed_requeued_held", "JobLaunchFailure"])
def test_held_after_a_failed_launch_without_a_report(word: str) -> None:
    told = _told(reason=word, priority=0, restarts=1)
    assert (told.kind, told.cause) == ("held-after-node-failure", "launch-failed")
    assert _commands(told)[0] == "scontrol release 42"


def test_a_move_that_was_interrupted() -> None:
    told = _told(reason="job requeued in held state", priority=0, restarts=1, admin_comment=MOVED)
    assert (told.kind, told.cause) == ("held-by-preflight", "being-moved")
    assert _commands(told) == ["scontrol update JobId=42 ExcNodeList=n1", "scontrol release 42"]


def test_held_by_slurm_for_a_reason_of_its_own() -> None:
    assert _told(reason="JobHoldMaxRequeue", priority=0, restarts=6).cause == "max-batch-requeue"
    told = _told(reason="SystemFailure", priority=0)
    assert (told.kind, told.cause) == ("held-by-slurm", "other")
    assert 'own word for the reason is "SystemFailure"' in told.sentence


@pytest.mark.parametrize(
    ("state", "kind", "says"),
    [
        ("COMPLETED", "completed", "ran to its end on n1"),
        ("OUT_OF_MEMORY", "out-of-memory", "used more memory than it asked for"),
        ("TIMEOUT", "timeout", "ended at its time limit"),
        ("DEADLINE", "timeout", "ended at its deadline"),
        ("NODE_FAIL", "node-fail", "stopped answering"),
        ("BOOT_FAIL", "node-fail", "could not be started"),
        ("PREEMPTED", "preempted", "give way to a job of higher priority"),
        ("REVOKED", "ended", "Slurm's own word for how is REVOKED"),
    ],
)
def test_how_a_job_ended(state: str, kind: str, says: str) -> None:
    told = _told(report(node="n1"), state=state, nodes="n1", end=int(NOW), start=int(START))
    assert told.kind == kind
    assert says in told.sentence
    assert told.steps


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("7:0", "with exit code 7 on n1"),
        ("0:9", "with signal 9 (SIGKILL)"),
        ("0:99", "with signal 99"),
        ("", "failed on"),
    ],
)
def test_exit_codes(code: str, says: str) -> None:
    told = _told(state="FAILED", nodes="n1", exit_code=code)
    assert says in told.sentence
    assert "no report of this run can be read here" in told.sentence


@pytest.mark.parametrize(("by", "cause"), [(1000, "user"), (0, "admin"), (None, "unknown"), (4242, "other")])
def test_who_cancelled_it(by: int | None, cause: str) -> None:
    told = explain(Evidence("42", NOW, _job(state="CANCELLED", nodes="n1", start=1), "accounting", by))
    assert (told.kind, told.cause) == ("cancelled", cause)
    assert "not by Preflight" in told.sentence


def test_stopped_for_a_faulty_node_that_was_drained_before() -> None:
    bad = report(node="n1", findings=[FAULT], verdict="unhealthy", action=model.action_block("none", "DRAIN already"))
    told = _told(bad, state="FAILED", nodes="n1", batch=False)
    assert told.kind == "stopped-node-unhealthy"
    assert "n1 was found faulty, not the job" in told.sentence


def test_what_the_epilog_says_is_the_last_runs_alone() -> None:
    first = report(node="n1", phase="epilog", findings=[FAULT], verdict="unhealthy", started=START)
    change = {"fact": "GPU 3.ecc_uncorrected_aggregate", "before": 0, "after": 4, "blame": "node"}
    last = report(node="n2", phase="epilog", job={"restart": 1}, started=START + 60, changes=[change])
    told = _told(first, last, state="COMPLETED", nodes="n2", restarts=1)
    assert told.lines == ("n2 (run 1): GPU 3.ecc_uncorrected_aggregate went from 0 to 4 while it ran (the node's)",)


def test_only_reports_are_left() -> None:
    held = _misfit(action=model.action_block("hold", "held, since …"))
    told = explain(Evidence("42", NOW, reports=(held,)))
    assert (told.kind, told.cause, told.source) == ("reported", "held", "reports")
    assert "was held after n1 did not fit: driver 470.82.01 is older than 550.54" in told.sentence
    assert "Slurm no longer knows it" in told.sentence
    with pytest.raises(ValueError, match="nothing is known of job 42"):
        explain(Evidence("42", NOW))


def test_reports_of_an_earlier_job_of_that_number() -> None:
    mine = report(job={"uid": 1000, "restart": 0})
    job = _job(submit=int(START) - 10, uid=1000)
    assert is_of(mine, job)
    assert not is_of(mine, job._replace(uid=1001))
    assert not is_of(mine, job._replace(submit=int(START) + 3600))
    # A requeue sets the submit time anew: earlier runs began before it.
    assert is_of(mine, job._replace(submit=int(START) + 3600, restarts=1))
    assert not is_of(report(job={"uid": 1000, "restart": 3}), job)


def test_our_entries_among_others() -> None:
    text = f"billing=4; {MOVED};x preflight:moved:n9:run0: y; preflight:held:n1:runx: z; preflight:odd:n1:run1: q"
    assert marks(text) == [Mark("moved", "n1", 0, "needs cuda>=12.4, the node has 12.2")]


@pytest.mark.parametrize(
    ("text", "asked"),
    [("42", JobRef(42)), (" 123_4 ", JobRef(123, 4)), ("7+1", JobRef(7, None, 1)), ("7+0", JobRef(7, None, 0))],
)
def test_names_of_jobs(text: str, asked: JobRef) -> None:
    assert parse(text) == asked
    assert str(asked) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "0", "x", "1_", "1+", "1_2_3", "1_2+3", "-1", "1.0", "9" * 12, "1_[2]", "\x1b[2J"]
)
def test_what_names_no_job(text: str) -> None:
    with pytest.raises(ValueError, match="not a job id") as caught:
        parse(text)
    assert "\x1b" not in str(caught.value)


def test_tasks_in_short() -> None:
    assert folded_tasks(["12_0", "12_2", "12_1", "12_7"]) == "12_[0-2,7]"
    assert folded_tasks(["12_4"]) == "12_4"
    assert folded_tasks(["12+0", "12+1"]) == "12+0 and 12+1"


class _Recorded:
    """Stands for Slurm's commands: what they printed on 22.05 (squeue) and what sacct's man page shows."""

    def __init__(self, out: str = "", error: str = "") -> None:
        self.out, self.error = out, error

    def run(self, *_: str) -> str:
        if self.error:
            raise SlurmError(self.error)
        return self.out

    def _replace(self, **_: str) -> _Recorded:
        return self


def test_rows_of_the_queue() -> None:
    out = "11 11 1 4294901748 PENDING 11_1 JobArrayTaskLimit\n12 11 0 4294901748 RUNNING 11_0 None\n"
    first, second = members(_Recorded(out), 11)  # type: ignore[arg-type]
    assert (first.id, first.name, first.task, first.reason) == (11, "11_1", 1, "JobArrayTaskLimit")
    assert (second.id, second.name, second.state) == (12, "11_0", "RUNNING")
    (component,) = members(_Recorded("10 10 N/A 7 PENDING 9+1 launch failed requeued held\n"), 9)  # type: ignore[arg-type]
    assert (component.name, component.offset, component.reason) == ("9+1", 1, "launch failed requeued held")
    assert members(_Recorded(error="squeue: slurm_load_jobs error: Invalid job id specified"), 9) == []  # type: ignore[arg-type]
    with pytest.raises(SlurmError):
        members(_Recorded(error="squeue: Unable to contact slurm controller"), 9)  # type: ignore[arg-type]


def test_rows_of_accounting() -> None:
    out = (
        "45|42_3|alice|1000|gpu|CANCELLED by 0|0:15|n1|1|1795528000|1795528100|1795528200|30M|\n"
        "45.batch|42_3.batch||||CANCELLED|0:15|n1|1|1795528100|1795528100|1795528200||214504K\n"
        "46|42_4|alice|1000|gpu|CANCELLED by 0|0:0|None assigned|1|1795528000|1795528200|1795528200|1G|\n"
        "42|42_[5-6]|alice|1000|gpu|PENDING|0:0|None assigned|1|1795528000|Unknown|Unknown|1G|\n"
        "50|49+1|alice|1000|gpu|OUT_OF_MEMORY|0:125|n[1-2]|2|1795528000|1795528100|1795528200||\n"
    )
    first, second, third = past(_Recorded(out), "42")  # type: ignore[arg-type]
    assert (first.job.name, first.job.state, first.ended_by, first.job.end) == ("42_3", "CANCELLED", 0, 1795528200)
    assert (first.memory.asked, round(first.memory.used or 0)) == (30, 209)
    # Cancelled while it waited: sacct gives the time of that as its start.
    assert (second.job.nodes, second.job.start, second.ended_by, second.memory.used) == ("", None, 0, None)
    assert (third.job.het_job_id, third.job.het_offset, third.job.state) == (49, 1, "OUT_OF_MEMORY")


def test_the_text_fits_80_columns_and_the_json_holds_the_same() -> None:
    told = _told(_misfit(), reason="JobHeldAdmin", priority=0, restarts=1, admin_comment=MOVED)
    text = _lines(told)
    assert all(len(line) <= COLUMNS for line in text.splitlines())
    assert text.startswith("Job 42 is held by an administrator")
    assert "\nNext:\n" in text
    document = json.loads(to_json(told))
    assert document["format"] == "preflight.why/1"
    assert (document["job"], document["kind"], document["sentence"]) == ("42", "held-by-admin", told.sentence)
    assert document["runs"][0]["outcome"] == "unfit"
    assert document["kind"] in KINDS


def test_hostile_text_comes_out_as_text() -> None:
    told = _told(reason="\x1b[2JPriority", dependency="\u202eafterok")
    assert "\x1b" not in _lines(told)
    assert "\\x1b[2JPriority" in _lines(told)
    json.loads(to_json(told))
    assert "\x1b" not in to_json(told)


@pytest.mark.parametrize("node", ["n1;touch${IFS}pwned;", "n1 $(id)", "n1|sh", "n1\nn2"])
def test_no_command_holds_what_a_user_wrote_for_a_node(node: str) -> None:
    """Users own their copies of reports: a forged one is no evidence, and nothing of it is told to be typed."""
    told = _told(_misfit(node=node), reason="BeginTime", admin_comment=MOVED)
    assert node not in _lines(told)
    assert not any(node in command for command in _commands(told))
    told = _told(report(node=node, verdict="unhealthy", findings=[FAULT]), state="COMPLETED", nodes="n1")
    assert not any("pwned" in command or "$(" in command for command in _commands(told))


_N4 = Node("n4", ("IDLE", "DRAIN"), "disk", ("gpu",), (), (), "", "", 8, 1)


def _left(left: Candidates, **fields: Any) -> Explanation:
    job = _job(restarts=1, admin_comment=MOVED, excluded="n1", **fields)
    return explain(Evidence("42", NOW, job, "queue", nodes={"n4": _N4}, left=left))


@pytest.mark.parametrize("word", ["BeginTime", "ReqNodeNotAvail", "Resources", "Constraints"])
def test_a_moved_job_that_no_node_left_fits_is_not_told_to_wait(word: str) -> None:
    told = _left(Candidates((), (), (), (("ubuntu < 24.04", ("n4",)),), 1), reason=word, eligible=int(NOW) + 100)
    assert "n4 is the only node left; it is drained and does not fit (ubuntu < 24.04)." in told.sentence
    assert "starts elsewhere" not in told.sentence
    assert "scancel 42" in _commands(told)
    assert "Nothing to do" not in _lines(told)


def test_a_moved_job_whose_nodes_are_too_few() -> None:
    told = _left(Candidates(("n5",), (), (), (("ubuntu < 24.04", ("n4",)),), 2), reason="BeginTime")
    assert (told.kind, told.cause) == ("moved", "no-node-left")
    assert "It asks for 2 nodes, and of those left only n5 can still fit." in told.sentence


def test_a_moved_job_whose_fitting_node_is_away_waits_for_it() -> None:
    told = _left(Candidates((), ("n4",), (), (), 1), reason="ReqNodeNotAvail")
    assert "Of the nodes left only n4 (drained) would fit: it waits for it." in told.sentence
    assert _commands(told) == ["scontrol show node n4"]


def test_a_moved_job_of_which_a_node_left_may_fit_waits_for_slurm() -> None:
    for left in (Candidates(("n5",), (), (), (), 1), Candidates((), (), ("n5",), (), 1)):
        assert "It starts elsewhere" in _left(left, reason="BeginTime").sentence


def test_the_wait_after_a_move_is_told_once() -> None:
    at_once = _told(reason="BeginTime", restarts=1, eligible=int(NOW) + 3, admin_comment=MOVED, excluded="n1")
    assert "elsewhere now" not in at_once.sentence
    assert "two minutes" not in _lines(at_once)
    assert "about two" in _lines(_told(reason="None", restarts=1, admin_comment=MOVED, excluded="n1"))


def test_bad_constraints_of_what_preflight_set_is_not_cleared() -> None:
    fields: dict[str, Any] = {"reason": "BadConstraints", "priority": 0, "features": "os_ubuntu24.04|os_ubuntu26.04"}
    told = _told(**fields, restarts=1, admin_comment=MOVED, excluded="n1")
    assert told.sentence.startswith("Job 42 was moved off n1: needs cuda>=12.4, the node has 12.2. No other node")
    assert _commands(told)[0] == "scancel 42"
    assert "Features=" not in _lines(told)
    own = _told(reason="BadConstraints", priority=0, features="old")
    assert "scontrol update JobId=42 Features=" in _commands(own)


def test_what_is_not_known_is_told_in_one_short_line() -> None:
    class _Nothing:
        def known(self, _: JobRef) -> Known:
            return Known(notes=("Slurm's accounting was not asked: Slurm accounting storage is disabled",))

        def of_reports(self, *_: object) -> list[Evidence]:
            return []

    with pytest.raises(ValueError, match=r"^job 99: ") as caught:
        tell(_Nothing(), JobRef(99))  # type: ignore[arg-type]
    assert str(caught.value) == (
        "job 99: not in Slurm's queue, and no report of it where you may read (accounting is off). Is the number right?"
    )


def test_a_misfit_that_ran_all_the_same_is_said_once() -> None:
    bad = _misfit(action=model.action_block("requeue", "observe mode", enforced=False))
    told = _told(bad, state="RUNNING", reason="None", nodes="n1")
    assert told.kind == "running-unfit"
    assert " ".join(_lines(told).split()).count("is older than 550.54") == 1
    assert "in observe mode" in told.sentence


@pytest.mark.parametrize(("nodes", "says"), [("n1", "its node passed"), ("n[1-2]", "its nodes passed")])
def test_one_node_is_not_several(nodes: str, says: str) -> None:
    assert says in _told(report(node="n1"), state="RUNNING", reason="None", nodes=nodes).sentence


def test_nodes_that_refused_a_job_are_not_those_that_fit() -> None:
    from preflight.submit.why.fits import refused_by

    job = _job(admin_comment="preflight:moved:n7:run0: needs x", restarts=1)
    assert refused_by(job, (_misfit(), report(node="n2"))) == {"n1", "n7"}


@pytest.mark.parametrize(
    ("texts", "options"),
    [
        (("gres:gpu:2", "N/A", "N/A", "N/A"), {"gpus": "2"}),
        (("gres/gpu:h100:2", "(null)", "", ""), {"gpus": "h100:2"}),
        (("N/A", "gres:gpu", "N/A", "N/A"), {"gpus-per-node": "1"}),
        (("N/A", "N/A", "N/A", "cpu=2,gres/gpu=1"), {"gpus-per-task": "1", "ntasks": "4"}),
        (("N/A", "gres:shard:3", "N/A", "N/A"), {}),
    ],
)
def test_gpus_asked_for_in_any_way(texts: tuple[str, ...], options: dict[str, str], monkeypatch: Any) -> None:
    from preflight.submit.why import fits

    monkeypatch.setattr(fits, "ask", lambda *_: [["41", "1", "gres:gpu:9", "", "", ""], ["42", "4", *texts]])
    assert fits._gpus(None, _job()) == options  # type: ignore[arg-type]


def test_a_job_that_accounting_takes_for_alive_is_a_runaway() -> None:
    told = explain(Evidence("42", NOW, _job(state="RUNNING", nodes="n1"), "accounting"))
    assert (told.kind, told.cause) == ("ended", "runaway")
    assert "sacctmgr show runawayjobs" in _commands(told)


def _epilog_with(subject: str, *before: Finding, gpus: tuple[int, ...] = (0,)) -> Explanation:
    fault = FAULT._replace(subject=subject)
    job = {"gpus": list(gpus)}
    first = report(node="n1", job=job, findings=list(before))
    last = report(node="n1", phase="epilog", job=job, findings=[fault], verdict="unhealthy", started=START + 60)
    return _told(first, last, state="COMPLETED", nodes="n1")


def test_output_is_distrusted_only_where_a_fault_can_have_harmed_it() -> None:
    assert "may have broken while it ran" in _lines(_epilog_with("gpu0"))
    assert "may have broken while it ran" in _lines(_epilog_with("node"))
    other = _epilog_with("gpu1")
    assert "(not one of the job's GPUs)" in other.lines[0]
    assert "may have broken" not in _lines(other)
    there = _epilog_with("gpu0", FAULT._replace(subject="gpu0", status="warn"))
    assert "(it was so before the job began)" in there.lines[0]
    assert "may have broken" not in _lines(there)


def test_a_job_that_asks_for_the_faulty_node_by_name_does_not_start_elsewhere() -> None:
    bad = report(node="n1", findings=[FAULT], verdict="unhealthy", action=model.action_block("drain", "x"))
    nodes = {"n1": Node("n1", ("IDLE", "DRAIN"), "preflight:gpu.present:gpu3: lost", ("gpu",), (), (), "", "", 8, 1)}
    job = _job(reason="BeginTime", restarts=1, eligible=int(NOW) + 118, required="n1")
    told = explain(Evidence("42", NOW, job, "queue", reports=(bad,), nodes=nodes))
    assert (told.kind, told.cause) == ("moved", "node-unhealthy")
    assert "elsewhere" not in told.sentence.replace("nowhere else", "")
    assert "there only once n1 is repaired" in told.sentence
    assert "scontrol update JobId=42 ReqNodeList=" in _commands(told)


def test_what_is_shown_of_nodes_is_what_the_job_was_placed_by() -> None:
    extra = _told(reason="Constraints", extra="gpu_count>=2")
    features = _told(reason="Constraints", features="old")
    assert 'sinfo -N -O "NodeList:30,Extra:0"' in _commands(extra)
    assert 'sinfo -N -O "NodeList:30,Features:0"' in _commands(features)


@pytest.mark.parametrize(
    ("code", "lowered", "says"),
    [
        ("127:0", False, "exit code 127 (as a rule a command that was not found)"),
        ("127:0", True, "exit code 127 or 255, which this sacct does not tell apart"),
        ("9:0", True, "exit code 9 or 137, which this sacct does not tell apart (137 is a shell's word for SIGKILL)"),
        ("137:0", False, "exit code 137 (137 is a shell's word for SIGKILL)"),
        ("0:9", True, "signal 9 (SIGKILL)"),
        ("0:53", False, "Slurm's own error 4021"),
        ("0:99", False, "signal 99"),
        ("²:0", False, ""),
    ],
)
def test_exit_codes_as_slurm_has_them(code: str, lowered: bool, says: str) -> None:
    assert exit_words(code, lowered) == says


def test_a_failed_launch_without_a_report_names_the_drained_node_that_is_asked_for() -> None:
    """Reports that cannot be read, and no entry in AdminComment: what nodes say is still there."""
    nodes = {"n1": Node("n1", ("IDLE", "DRAIN"), "preflight:gpu.present:gpu3: lost", ("gpu",), (), (), "", "", 8, 1)}
    job = _job(reason="launch failed requeued held", priority=0, restarts=1, required="n1")
    told = explain(Evidence("42", NOW, job, "queue", nodes=nodes))
    assert told.lines == ("n1 is drained by Preflight: gpu.present:gpu3: lost",)
    assert _commands(told)[:2] == ["scontrol update JobId=42 ReqNodeList=", "scontrol release 42"]
    other = explain(Evidence("42", NOW, job._replace(required=""), "queue", nodes=nodes))
    assert _commands(other)[0] == "scontrol release 42"
