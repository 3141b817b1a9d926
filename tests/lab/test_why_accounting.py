"""`preflight why` where accounting is on: limits, and what only sacct knows. Each step that is told is typed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lab import accounting, releases, unavailable
from lab.cluster import Cluster, Site, sites_of
from preflight.submit.why.reasons import REASONS, reason, step_of

pytestmark = pytest.mark.lab
ENDED = ("FAILED", "COMPLETED", "CANCELLED", "OUT_OF_MEMORY", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "DEADLINE")
CONF = """
AccountingStorageEnforce=limits,qos
AccountingStorageTRES=gres/gpu,license/matlab
PriorityType=priority/multifactor
Licenses=matlab:2
PreemptType=preempt/qos
PreemptMode=REQUEUE
ReturnToService=0
JobAcctGatherParams=OverMemoryKill
"""
NODES = 4


@pytest.fixture(scope="module")
def site() -> Iterator[Cluster]:
    """Two nodes with GPUs and two without, accounting on; a user who may charge to `free`, without limits."""
    reason = unavailable() or ", ".join(accounting.missing(releases.chosen()))
    if reason:
        pytest.skip(reason)
    plain = [Site(name, "debian") for name in ("plain1", "plain2")]
    with Cluster([*sites_of("ubuntu1", "ubuntu2"), *plain], extra=CONF, accounting=True) as made:
        _admin(made, "add account free", "add user pfalice account=free", "add user pfbob account=free")
        yield made


@pytest.fixture
def cluster(site: Cluster) -> Iterator[Cluster]:
    site.reset()
    yield site
    site.lift_faults()


def _admin(cluster: Cluster, *commands: str) -> None:
    for command in commands:
        cluster.lab.check_run(["sacctmgr", "-i", *shlex.split(command)])


def _why(cluster: Cluster, job: str, user: str | None = "pfalice") -> dict[str, Any]:
    told: dict[str, Any] = json.loads(cluster.why(job, "--json", user=user))
    return told


def _waits_for(cluster: Cluster, job: str, reason: str) -> dict[str, Any]:
    """Wait until Slurm gives the job this reason, and return what is said of it."""
    lab = cluster.lab
    lab.wait_until(lambda: lab.job(job)["reason"].startswith(reason), 30, f"job {job} to wait for {reason}")
    told = _why(cluster, job)
    assert told["reason"].startswith(reason)
    return told


def _type(cluster: Cluster, step: dict[str, Any], script: list[str]) -> str:
    """Type a step's commands as whom it addresses; SCRIPT is the job's own options. Return the job that came of it."""
    job = ""
    user = "pfalice" if step["who"] == "user" else None
    for command in step["commands"]:
        words = shlex.split(command)
        if words[-1] == "SCRIPT":
            words = [words[0], "--parsable", *_merged(script, words[1:-1]), "--wrap=true"]
        done = cluster.lab.run(words, user=user)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        if words[0] == "sbatch":
            job = done.stdout.strip()
    return job


def _merged(script: list[str], told: list[str]) -> list[str]:
    """Return the options with those that were told last: there they count, as before those of a script."""
    return [*script, *told]


class Case(NamedTuple):
    """A limit: how it is set (A is an account of the user's own, T the one above it, Q a QOS), what is asked, what is
    said. ``blocker``: options of a job that runs meanwhile. ``admin``: an admin is told how to raise it."""

    word: str
    limits: tuple[str, ...]
    options: tuple[str, ...]
    says: tuple[str, ...]
    blocker: tuple[str, ...] = ()
    admin: bool = True


CASES = {
    "account-above": Case(
        "AssocGrpCpuLimit",
        ("modify account T set GrpTRES=cpu=2",),
        ("-n4", "-t9"),
        ("jobs of account T, above its account A together may use 2 CPUs", "it asks for 4 CPUs alone", "(GrpTRES)"),
    ),
    "account-in-use": Case(
        "AssocGrpCpuLimit",
        ("modify account A set GrpTRES=cpu=2",),
        ("-n2", "-t9"),
        ("jobs of account A together may use 2 CPUs", "1 are used", "it asks for 2 CPUs"),
        blocker=("-n1", "-t9"),
        admin=False,
    ),
    "account-gpus": Case(
        "AssocGrpGRES",
        ("modify account A set GrpTRES=gres/gpu=1",),
        ("--gpus=2", "-t9"),
        ("may use 1 GPU", "it asks for 2 GPUs alone"),
    ),
    "account-jobs": Case(
        "AssocGrpJobsLimit",
        ("modify account T set GrpJobs=1",),
        ("-t9",),
        ("jobs of account T, above its account A may run 1 job at a time (GrpJobs), 1 do",),
        blocker=("-t9",),
        admin=False,
    ),
    "account-wall": Case(
        "AssocMaxWallDurationPerJobLimit",
        ("modify account A set MaxWall=10",),
        ("-t60",),
        ("account A allows a job 10 minutes (MaxWall), and its time limit is 60 minutes",),
    ),
    "account-minutes": Case(
        "AssocMaxCpuMinutesPerJobLimit",
        ("modify account A set MaxTRESMins=cpu=100",),
        ("-n2", "-t60"),
        ("account A allows 100 CPU minutes a job", "it asks for 120 CPU minutes"),
    ),
    "account-run-minutes": Case(
        "AssocGrpCPURunMinutesLimit",
        ("modify account A set GrpTRESRunMins=cpu=50",),
        ("-t60",),
        ("may use 50 CPU minutes ahead of what runs (GrpTRESRunMins)", "it asks for 60 CPU minutes alone"),
    ),
    "user-nodes": Case(
        "AssocMaxNodePerJobLimit",
        ("modify user where name=pfalice account=A set MaxTRESPerJob=node=1",),
        ("-N2", "-t9"),
        ("user pfalice in account A allows 1 node a job", "it asks for 2 nodes"),
    ),
    "user-jobs": Case(
        "AssocMaxJobsLimit",
        ("modify user where name=pfalice account=A set MaxJobs=1",),
        ("-t9",),
        ("jobs of user pfalice in account A may run 1 job at a time (MaxJobs), 1 do",),
        blocker=("-t9",),
        admin=False,
    ),
    "user-partition": Case(
        "AssocMaxCpuPerJobLimit",
        ("add user pfalice account=A partition=urgent", "modify user where name=pfalice account=A partition=urgent set "
         "MaxTRESPerJob=cpu=1"),
        ("-n2", "-t9", "-purgent"),
        ("user pfalice in account A, partition urgent allows 1 CPU a job",),
    ),
    "qos-wall": Case(
        "QOSMaxWallDurationPerJobLimit",
        ("modify qos Q set MaxWall=10",),
        ("-t3:00:00",),
        ("QOS Q allows a job 10 minutes (MaxWall), and its time limit is 03:00:00",),
    ),
    "qos-jobs-per-user": Case(
        "QOSMaxJobsPerUserLimit",
        ("modify qos Q set MaxJobsPerUser=1",),
        ("-t9",),
        ("jobs of one user in QOS Q may run 1 job at a time", "1 do"),
        blocker=("-t9",),
        admin=False,
    ),
    "qos-jobs-per-account": Case(
        "MaxJobsPerAccount",
        ("modify qos Q set MaxJobsPerAccount=1",),
        ("-t9",),
        ("jobs of one account in QOS Q may run 1 job at a time",),
        blocker=("-t9",),
        admin=False,
    ),
    "qos-cpus-per-user": Case(
        "QOSMaxCpuPerUserLimit",
        ("modify qos Q set MaxTRESPerUser=cpu=2",),
        ("-c4", "-t9"),
        ("jobs of one user in QOS Q may use 2 CPUs at a time", "it asks for 4 CPUs alone"),
    ),
    "qos-memory-per-job": Case(
        "QOSMaxMemoryPerJob",
        ("modify qos Q set MaxTRESPerJob=mem=100",),
        ("--mem=1G", "-t9"),
        ("QOS Q allows 100M a job", "it asks for 1G"),
    ),
    "qos-cpus-per-node": Case(
        "QOSMaxCpuPerNode",
        ("modify qos Q set MaxTRESPerNode=cpu=2",),
        ("-c3", "-t9"),
        ("QOS Q allows 2 CPUs on a node", "it asks for 3 CPUs"),
    ),
    "qos-group": Case(
        "QOSGrpNodeLimit",
        ("modify qos Q set GrpTRES=node=1",),
        ("-N2", "-t9"),
        ("jobs of QOS Q together may use 1 node", "it asks for 2 nodes alone"),
    ),
    "qos-least": Case(
        "QOSMinCpuNotSatisfied",
        ("modify qos Q set MinTRESPerJob=cpu=2",),
        ("-n1", "-t9"),
        ("QOS Q takes jobs that ask for at least 2 CPUs (MinTRESPerJob), and it asks for 1 CPU",),
    ),
}  # fmt: skip


class Limited(NamedTuple):
    """A case that was tried: the job that waits, another like it, the one in the way; what was said; what ended how."""

    words: dict[str, str]
    options: list[str]
    job: str
    again: str
    running: str
    told: dict[str, Any] = {}  # noqa: RUF012 - a default, never written
    ended: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def limited(site: Cluster) -> dict[str, Limited]:
    """Try all cases side by side, each with accounts and a QOS of its own: a cluster mostly waits."""
    site.reset()
    lab = site.lab
    tried = {name: _submitted(site, name, case) for name, case in CASES.items()}
    for name, one in tried.items():
        tried[name] = one._replace(told=_waits_for(site, one.job, CASES[name].word))
    fixed = {name: _type(site, one.told["next"][0], one.options) or one.job for name, one in tried.items()}
    for one in tried.values():
        if one.running:
            lab.check_run(["scancel", one.running])
    for name, one in tried.items():
        ended = lab.wait_job(fixed[name], ENDED)["state"]
        before = lab.job(one.again)["state"] if one.again else ""
        tried[name] = one._replace(ended=(ended, before))
    for one in tried.values():
        if one.again:
            _type(site, one.told["next"][1], one.options)
    for name, one in tried.items():
        if one.again:
            tried[name] = one._replace(ended=(*one.ended, lab.wait_job(one.again, ENDED)["state"]))
    return tried


def _submitted(cluster: Cluster, name: str, case: Case) -> Limited:
    """Set a case's limits and submit its jobs."""
    lab, mark = cluster.lab, name.replace("-", "")
    words = {"A": f"{mark}a", "T": f"{mark}t", "Q": f"{mark}q"}
    limits = [_named(command, words) for command in case.limits]
    # In this order: on 24.11 slurmctld does not hear at once of what is set later on an account two levels up.
    above = [command for command in limits if words["T"] in command.split()]
    _admin(cluster, f"add qos {words['Q']}", f"add account {words['T']} qos=normal,{words['Q']}", *above,
           f"add account {words['A']} parent={words['T']}", f"add user pfalice account={words['A']}",
           *(command for command in limits if command not in above))  # fmt: skip
    qos = [f"--qos={words['Q']}"] if "Q" in " ".join(case.limits).split() else []
    own = [f"-A{words['A']}", *qos]
    running = lab.sbatch("sleep 300", *own, *case.blocker) if case.blocker else ""
    if running:
        lab.wait_job(running, "RUNNING")
    options = [*own, *case.options]
    job = lab.sbatch("true", *options)
    return Limited(words, options, job, "" if running else lab.sbatch("true", *options), running)


@pytest.mark.parametrize("name", CASES)
def test_a_limit_is_named_with_where_it_is_set_and_the_steps_do_what_they_say(
    limited: dict[str, Limited], name: str
) -> None:
    case, one = CASES[name], limited[name]
    for text in case.says:
        assert _named(text, one.words) in one.told["sentence"]
    assert f"(Slurm says {case.word})" in one.told["sentence"]
    assert ("it can never run as it is" in one.told["sentence"]) is not bool(case.blocker)
    assert [step["who"] for step in one.told["next"]] == ["user", "admin"][: 1 + case.admin]
    # By the user's step, and the other one like it waited on until an admin had typed theirs.
    assert one.ended == (("COMPLETED", "") if case.blocker else ("COMPLETED", "PENDING", "COMPLETED"))


def _named(text: str, words: dict[str, str]) -> str:
    """Put the names of this test's account, account above and QOS in the place of A, T and Q."""
    parts = text.replace("account=A", "account=\0A").split(" ")
    return " ".join(
        f"account={words['A']}" if part == "account=\0A" else
        f"{words[part[0]]}{part[1:]}" if part[:1] in words and part[1:] in ("", ",") else part
        for part in parts
    )  # fmt: skip


# What jobs do, and how they are submitted: all at once, looked at while the queue has them and when it has not.
_GREEDY = "python3 -c 'x = bytearray(200 << 20); import time; time.sleep(30)'"
ENDS = {
    "255": ("exit 255", ()),
    "137": ("exit 137", ()),
    "127": ("no-such-command", ()),
    "7": ("exit 7", ()),
    "killed": ("kill -9 $$", ()),
    "greedy": (_GREEDY, ("--mem=30M",)),
    "output": ("true", ("-o", "/nonexistent/out-%j")),
    "error": ("true", ("-e", "/nonexistent/err")),
    "input": ("true", ("-i", "/nonexistent/in")),
    "directory": ("true", ("-D", "/nonexistent")),
    "codes": ("exit $SLURM_ARRAY_TASK_ID", ("--array=1-3",)),
    "array": ("[ $SLURM_ARRAY_TASK_ID -gt 1 ] || exit 4; sleep 600", ("--array=0-3",)),
}  # fmt: skip


class Ends(NamedTuple):
    """The jobs by name, and what was said of each: ``early`` while the queue had it, ``late`` from accounting."""

    jobs: dict[str, str]
    early: dict[str, dict[str, Any]]
    late: dict[str, dict[str, Any]]
    text: str


@pytest.fixture(scope="module")
def ends(site: Cluster) -> Ends:
    site.reset()
    lab = site.lab
    jobs = {name: lab.sbatch(wrap, "-Afree", "-t9", *options) for name, (wrap, options) in ENDS.items()}
    jobs["cancelled"] = lab.sbatch("true", "-Afree", "--begin=now+1hour")
    tasks = [f"{jobs['codes']}_{task}" for task in (1, 2, 3)] + [f"{jobs['array']}_{task}" for task in (0, 1)]
    for job in [*(jobs[name] for name in jobs if name not in ("codes", "array", "cancelled")), *tasks]:
        lab.wait_job(job, ENDED)
    for task in (2, 3):
        lab.wait_job(f"{jobs['array']}_{task}", "RUNNING")
    lab.check_run(["scancel", jobs["cancelled"]], user="pfalice")
    early = {name: _why(site, job) for name, job in jobs.items()}
    conf = lab.settings.extra
    lab.reconfigure(f"{conf}\nMinJobAge=2\n")
    left = [*(jobs[name] for name in jobs if name not in ("array",)), f"{jobs['array']}_0", f"{jobs['array']}_1"]
    lab.wait_until(lambda: all(lab.job_state(job) is None for job in left), 90, "the queue to forget the jobs")
    lab.reconfigure(conf)
    late = {name: _why(site, job) for name, job in jobs.items()}
    return Ends(jobs, early, late, site.why(jobs["greedy"]))


def _lowers(cluster: Cluster) -> bool:
    return cluster.lab.release.version()[:2] < (26, 5)


def test_sacct_lowers_codes_above_127_and_why_says_both(site: Cluster, ends: Ends) -> None:
    assert "failed with exit code 255 on" in ends.early["255"]["sentence"]
    assert "exit code 137 (137 is a shell's word for SIGKILL)" in ends.early["137"]["sentence"]
    assert "exit code 127 (as a rule a command that was not found)" in ends.early["127"]["sentence"]
    assert "signal 9 (SIGKILL)" in ends.early["killed"]["sentence"]
    assert {ends.late[name]["source"] for name in ("255", "137", "127", "7", "killed")} == {"accounting"}
    assert "signal 9 (SIGKILL)" in ends.late["killed"]["sentence"]
    if _lowers(site):
        assert "exit code 127 or 255, which this sacct does not tell apart" in ends.late["255"]["sentence"]
        assert "exit code 9 or 137, which this sacct does not tell apart" in ends.late["137"]["sentence"]
        assert "exit code 7 or 135" in ends.late["7"]["sentence"]
    else:
        assert "failed with exit code 255 on" in ends.late["255"]["sentence"]
        assert "exit code 137 (137 is a shell's word for SIGKILL)" in ends.late["137"]["sentence"]
        assert "failed with exit code 7 on" in ends.late["7"]["sentence"]


def test_the_report_names_the_job_and_how_it_ended(site: Cluster, ends: Ends) -> None:
    done = site.preflight("report", ends.jobs["killed"], "--config", site.config)
    assert done.returncode == 0, done.stderr
    assert ", failed, signal 9, ran 00:0" in done.stdout


@pytest.mark.parametrize("name", ["output", "error", "input", "directory"])
def test_a_file_that_cannot_be_opened_is_named(ends: Ends, name: str) -> None:
    job = ends.jobs[name]
    path = {
        "output": f"its output file /nonexistent/out-{job}",
        "error": "its error file /nonexistent/err",
        "input": "its input file /nonexistent/in",
        "directory": f"its output file /nonexistent/slurm-{job}.out",
    }[name]
    for told in (ends.early[name], ends.late[name]):
        assert (told["kind"], told["cause"]) == ("failed", "files")
        if name == "directory" and told["source"] == "accounting":
            path = "/nonexistent"  # sacct of 22.05 has only the submit line
        assert path in told["sentence"]
        assert "signal" not in told["sentence"]
        assert told["next"][0]["commands"] == ["sbatch --output=PATH SCRIPT"]


def test_a_kill_for_memory_without_cgroups_tells_what_was_asked_and_used(ends: Ends) -> None:
    for told in (ends.early["greedy"], ends.late["greedy"]):
        figures = re.search(
            r"in all likelihood for its memory; it asked for 30M and used at least (\d+)M", told["sentence"]
        )
        assert figures is not None
        assert int(figures[1]) > 30
        more = re.fullmatch(r"sbatch --mem=(\d+)M SCRIPT", told["next"][0]["commands"][0])
        assert more is not None
        assert int(more[1]) > int(figures[1])
    assert "SIGKILL" in ends.early["killed"]["sentence"]
    assert "may have been for memory" in ends.early["killed"]["sentence"]
    assert max(len(line) for line in ends.text.splitlines() if not line.startswith("      ")) <= 80


def test_tasks_with_different_exit_codes_are_not_alike(site: Cluster, ends: Ends) -> None:
    job = ends.jobs["codes"]
    for told in (ends.early["codes"], ends.late["codes"]):
        assert f"Array {job}, 3 tasks: 3 failed" in told["sentence"]
        assert [(part["job"], part["exit_code"]) for part in told["parts"]] == [
            (f"{job}_{task}", f"{task}:0") for task in (1, 2, 3)
        ]


def test_tasks_that_the_queue_has_forgotten_are_counted(ends: Ends) -> None:
    job = ends.jobs["array"]
    for told in (ends.early["array"], ends.late["array"]):
        assert f"Array {job}, 4 tasks: " in told["sentence"]
        assert {part["job"]: part["kind"] for part in told["parts"]} == {
            f"{job}_[0-1]": "failed",
            f"{job}_[2-3]": "running",
        }


def test_a_job_cancelled_before_it_started_has_no_reports(ends: Ends) -> None:
    for told in (ends.early["cancelled"], ends.late["cancelled"]):
        assert (told["kind"], told["notes"]) == ("cancelled", [])
        assert "while it waited" in told["sentence"]
    # On 24.11 sacct says "CANCELLED" alone of some that never started: then by whom is not known.
    assert ends.late["cancelled"]["cause"] in ("user", "unknown")


_WORDS = """
import ctypes, glob
for path in glob.glob("/usr/lib/*/slurm*/libslurmfull*.so"):
    library = ctypes.CDLL(path)
    say = getattr(library, "slurm_job_state_reason_string", None) or library.slurm_job_reason_string
    say.restype = ctypes.c_char_p
    print("\\n".join((say(number) or b"").decode() for number in range(400)))
"""


def test_every_reason_that_this_slurm_knows_has_a_known_answer(site: Cluster) -> None:
    """Slurm's own library names its reasons: none of them may be new to Preflight."""
    words = {line for line in site.lab.check_run(["/usr/bin/python3", "-c", _WORDS]).splitlines() if line}
    words = {word for word in words if not word.isdigit()}
    assert len(words) > 180
    assert {word for word in words if not reason(word).known} == set()


def _step(told: dict[str, Any], command: str) -> dict[str, Any]:
    """Return the step that has a command which begins so."""
    return next(step for step in told["next"] if any(one.startswith(command) for one in step["commands"]))


def test_a_node_that_failed_under_the_job_and_is_still_asked_for_by_name(cluster: Cluster) -> None:
    lab = cluster.lab
    job = lab.sbatch("sleep 60", "-Afree", "-t9", "-w", "plain1")
    lab.wait_job(job, "RUNNING")
    try:  # with ReturnToService=0 it stays down until the end
        lab.check_run(["scontrol", "update", "NodeName=plain1", "State=DOWN", "Reason=power"])
        lab.wait_job(job, "PENDING")
        lab.check_run(["scontrol", "update", f"JobId={job}", "StartTime=now"])
        _waits_for(cluster, job, "ReqNodeNotAvail")
        failed = "put it back into the queue once, since plain1 failed while it ran there (NODE_FAIL)"
        # slurmctld tells slurmdbd of it when it comes to it.
        lab.wait_until(lambda: failed in _why(cluster, job)["sentence"], 60, "accounting to know of the node's failure")
        told = _why(cluster, job)
        assert "It still asks for plain1 by name, which is down." in told["sentence"]
        assert "preemption" not in told["sentence"]
        assert any(line.startswith("plain1 is down") for line in told["evidence"])
        _type(cluster, _step(told, "scontrol update"), [])
        assert lab.wait_job(job, "RUNNING")["nodes"] != "plain1"
    finally:
        lab.run(["scontrol", "update", "NodeName=plain1", "State=RESUME"])


def test_a_job_that_asks_for_more_nodes_than_there_are(cluster: Cluster) -> None:
    done = cluster.lab.run(["sbatch", "--parsable", "-Afree", "-t9", "-N20", "--wrap=true"], user="pfalice")
    if done.returncode:
        pytest.skip(f"refused at once: {done.stderr.strip()}")
    told = _waits_for(cluster, done.stdout.strip(), "Partition")
    assert f"it asks for 20 nodes, and its partition (main) has {NODES}, so it can never run" in told["sentence"]
    again = _type(cluster, told["next"][0], ["-Afree", "-t9", "-N20"])
    assert cluster.lab.wait_job(again, ENDED)["state"] == "COMPLETED"


@pytest.mark.parametrize("asked", [(), ("-w", "plain1")])
def test_maintenance_ahead_of_a_job_without_a_time_limit(cluster: Cluster, asked: tuple[str, ...]) -> None:
    lab = cluster.lab
    lab.check_run(["scontrol", "create", "reservation", "ReservationName=works", "StartTime=now+2hours", "Duration=60",
                   "Nodes=ALL", "Flags=MAINT", "Users=root"])  # fmt: skip
    try:
        job = lab.sbatch("true", "-Afree", *asked)
        told = _waits_for(cluster, job, "ReqNodeNotAvail")
        assert "a maintenance of its nodes begins (" in told["sentence"]
        assert "; works), and its time limit (unlimited) reaches into it" in told["sentence"]
        step = _step(told, "scontrol update")
        assert re.fullmatch(rf"scontrol update JobId={job} TimeLimit=11\d", step["commands"][0])
        _type(cluster, step, [])
        assert lab.wait_job(job, ENDED)["state"] == "COMPLETED"
    finally:
        lab.run(["scancel", "-u", "pfalice"])
        lab.check_run(["scontrol", "delete", "ReservationName=works"])


def test_a_limit_of_the_partitions_qos(cluster: Cluster) -> None:
    lab = cluster.lab
    _admin(cluster, "add qos small MaxTRESPerJob=cpu=1")
    lab.check_run(["scontrol", "create", "PartitionName=tight", "Nodes=ALL", "QoS=small", "MaxTime=60"])
    job = lab.sbatch("true", "-Afree", "-t9", "-n2", "-ptight")
    told = _waits_for(cluster, job, "QOSMaxCpuPerJobLimit")
    assert "QOS small allows 1 CPU a job (MaxTRESPerJob), and it asks for 2 CPUs" in told["sentence"]
    longer = lab.sbatch("true", "-Afree", "-t90", "-n1", "-ptight")
    told = _waits_for(cluster, longer, "PartitionTimeLimit")
    assert "its time limit (90 minutes) is longer than its partition (tight) allows (01:00:00)" in told["sentence"]
    _type(cluster, told["next"][0], [])
    assert lab.wait_job(longer, ENDED)["state"] == "COMPLETED"


def test_slurms_other_reasons_and_their_steps(cluster: Cluster) -> None:
    lab = cluster.lab
    failed = lab.sbatch("exit 1", "-Afree", "-t9")
    lab.wait_job(failed, "FAILED")
    first = lab.sbatch("sleep 300", "-Afree", "-t9", "-Lmatlab:2")
    lab.wait_job(first, "RUNNING")
    licensed = lab.sbatch("true", "-Afree", "-t9", "-Lmatlab:1")
    never = lab.sbatch("true", "-Afree", "-t9", f"--dependency=afterok:{failed}")
    later = lab.sbatch("true", "-Afree", "-t9", "--begin=now+1hour")
    told = _waits_for(cluster, licensed, "Licenses")
    assert "it needs a license that is in use" in told["sentence"]
    _type(cluster, told["next"][0], [])
    lab.check_run(["scancel", first])
    assert lab.wait_job(licensed, ENDED)["state"] == "COMPLETED"
    told = _waits_for(cluster, later, "BeginTime")
    _type(cluster, told["next"][0], [])
    assert lab.wait_job(later, ENDED)["state"] == "COMPLETED"
    told = _waits_for(cluster, never, "DependencyNeverSatisfied")
    assert "it will never start" in told["sentence"]
    _type(cluster, {**told["next"][0], "commands": told["next"][0]["commands"][:1]}, [])
    assert lab.wait_job(never, ENDED)["state"] == "COMPLETED"


def test_accounting_tells_while_the_controller_is_down(cluster: Cluster) -> None:
    lab = cluster.lab
    job = lab.sbatch("exit 3", "-Afree", "-t9")
    lab.wait_job(job, "FAILED")
    lab.wait_until(lambda: "FAILED" in lab.run(["sacct", "-nXj", job, "-oState"]).stdout, 30, "accounting to know it")
    lab.stop_slurmctld()
    try:
        told = _why(cluster, job)
    finally:
        lab.start_slurmctld()
        lab.wait_nodes()
    assert (told["kind"], told["source"]) == ("failed", "accounting")
    assert "failed with exit code 3" in told["sentence"]
    assert any("controller" in note for note in told["notes"])


def test_partitions_and_reservations_that_are_not_to_be_had(cluster: Cluster) -> None:
    lab = cluster.lab
    lab.check_run(["scontrol", "create", "PartitionName=shut", "Nodes=ALL"])
    reserve = ["scontrol", "create", "reservation", "ReservationName=later", "StartTime=now+2hours", "Duration=60",
               "Nodes=plain1", "Users=pfalice"]  # fmt: skip
    lab.check_run(reserve)
    jobs = {state: lab.sbatch("true", "-Afree", "-t9", "-pshut", "--begin=now+1hour") for state in ("DOWN", "INACTIVE")}
    reserved = lab.sbatch("true", "-Afree", "-t9", "--reservation=later")
    told = _waits_for(cluster, reserved, "Reservation")
    assert "its reservation has not begun, or is full" in told["sentence"]
    _type(cluster, told["next"][0], [])
    assert lab.wait_job(reserved, ENDED)["state"] == "COMPLETED"
    lab.check_run(["scontrol", "delete", "ReservationName=later"])
    for state, job in jobs.items():
        lab.check_run(["scontrol", "update", "PartitionName=shut", "State=UP"])
        lab.check_run(["scontrol", "update", f"JobId={job}", "StartTime=now+5"])
        lab.check_run(["scontrol", "update", "PartitionName=shut", f"State={state}"])
        told = _waits_for(cluster, job, f"Partition{state.capitalize()}")
        step = told["next"][0]
        _type(cluster, {**step, "commands": [one.replace("NAME", "main") for one in step["commands"]]}, [])
        assert lab.wait_job(job, ENDED)["state"] == "COMPLETED"


def test_a_deadline_that_can_no_longer_be_met(cluster: Cluster) -> None:
    lab = cluster.lab
    first = lab.sbatch("sleep 300", "-Afree", "-t9", "-wplain1", "--exclusive")
    lab.wait_job(first, "RUNNING")
    job = lab.sbatch("true", "-Afree", "-t1", "--deadline=now+63seconds", "-wplain1", "--exclusive")
    lab.wait_job(job, "DEADLINE")
    told = _why(cluster, job)
    assert (told["kind"], told["cause"]) == ("timeout", "deadline")
    assert "it could no longer end before its deadline" in told["sentence"]
    assert told["next"][0]["commands"] == ["sbatch --deadline=… --time=… SCRIPT"]


def test_every_step_that_only_looks_can_be_typed(cluster: Cluster) -> None:
    """What is told to be looked at, of all reasons: also of those that no cluster of the lab comes to."""
    lab = cluster.lab
    job = lab.sbatch("true", "-Afree", "-t9", "--begin=now+1hour")
    names = {"job": job, "name": job, "array": job, "partition": "main"}
    looks = ("squeue", "sinfo", "sprio", "scontrol show", "sacctmgr show")
    every = [command for one in REASONS.values() for command in step_of(one, **names).commands]
    typed = sorted({command for command in every if command.startswith(looks)})
    assert {command.split()[0] for command in typed} == {look.split()[0] for look in looks}
    failed = {}
    for command in typed:
        done = lab.run(shlex.split(command.replace("$USER", "pfalice")), user="pfalice")
        if done.returncode or done.stderr:
            failed[command] = done.stderr
    assert failed == {}


def test_an_account_that_is_not_valid_any_more(cluster: Cluster) -> None:
    """The user was taken off it while a job waited: slurmctld hears of that and holds the job."""
    lab = cluster.lab
    _admin(cluster, "add account gone", "add user pfalice account=gone")
    job = lab.sbatch("true", "-Agone", "-t9", "--begin=now+1hour")
    done = lab.run(["sacctmgr", "-i", "delete", "user", "name=pfalice", "account=gone"])
    if "Job(s) active" in done.stderr:  # 24.11 and later: then no job comes to it in this way
        pytest.skip("this Slurm takes no user off an account with jobs of theirs")
    assert done.returncode == 0, done.stderr
    told = _waits_for(cluster, job, "InvalidAccount")
    assert "its account is not valid (any more)" in told["sentence"]
    step = _step(told, "scontrol update")
    valid = [shlex.split(one.replace("$USER", "pfalice")) for one in step["commands"] if one.startswith("sacctmgr")]
    assert ["free" in lab.check_run(one, user="pfalice") for one in valid] == [True]
    change = [one.replace("NAME", "free") for one in step["commands"] if one.startswith("scontrol")]
    _type(cluster, {**step, "commands": change}, [])
    assert lab.wait_job(job, ENDED)["state"] == "COMPLETED"


def test_a_node_that_power_saving_has_put_to_sleep(cluster: Cluster) -> None:
    lab = cluster.lab
    conf = lab.settings.extra
    power = {name: Path(lab.settings.path(name)) for name in ("suspend", "resume")}
    resumed = Path(lab.settings.path("resumed"))
    resumed.touch()
    resumed.chmod(0o666)  # SlurmUser's program writes it
    for path in power.values():
        path.write_text(f'#!/bin/sh\n[ "${{0##*/}}" = suspend ] || echo "$1" >{resumed}\n')
        path.chmod(0o755)
    lines = f"SuspendProgram={power['suspend']}\nResumeProgram={power['resume']}\nSuspendTime=3600\n"
    try:
        lab.reconfigure(f"{conf}\n{lines}SuspendTimeout=5\nResumeTimeout=300\n")
        lab.check_run(["scontrol", "update", "NodeName=plain2", "State=POWER_DOWN"])
        lab.wait_until(lambda: "POWERED_DOWN" in lab.node_state("plain2"), 60, "plain2 to be powered down")
        lab.stop_node("plain2")
        job = lab.sbatch("true", "-Afree", "-t9", "-w", "plain2")
        lab.wait_job(job, "CONFIGURING")
        told = _why(cluster, job)
        assert (told["kind"], told["cause"]) == ("running", "powering-up")
        assert "has been given plain2, which is being powered up." in told["sentence"]
        (command,) = told["next"][0]["commands"]
        assert re.search(r"State=\S*\bPOWER", lab.check_run(shlex.split(command), user="pfalice"))
        # A boot before Slurm has called for it counts for nothing.
        lab.wait_until(lambda: resumed.stat().st_size, 90, "Slurm to have plain2 brought up")
        lab.boot_node("plain2")
        assert lab.wait_job(job, ENDED)["state"] == "COMPLETED"
    finally:
        lab.reconfigure(conf)
        lab.start_node("plain2")
        lab.wait_nodes(timeout=60)
