"""One contract for both back ends of the cluster: commands against a real Slurm, pyslurm against hand-written objects,
and against the real Slurm too where pyslurm is of its release (PREFLIGHT_LAB_RELEASE=/a/prefix).

The state is the same: c1 is drained and hostile, c2 runs jobs, c3 is in no partition; the jobs: pyslurm_by_hand.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from lab import Lab, LabNode, pyslurm_by_hand, releases, unavailable
from lab.cluster_bin import write_bin
from lab.pyslurm_by_hand import EXTRA, HOSTILE_COMMENT, HOSTILE_NAME, HOSTILE_REASON
from lab.users import account
from preflight.slurm import node_json, node_text
from preflight.slurm.by_commands import JSON_SINCE, ByCommands
from preflight.slurm.by_pyslurm import ByPyslurm, node_of
from preflight.slurm.choose import choose
from preflight.slurm.cluster import LARGEST, Cluster, JobInfo, Node
from preflight.slurm.commands import Slurm, SlurmError

pytestmark = pytest.mark.lab
USER = "pfalice"
RELEASE = os.environ.get(releases.VARIABLE, "")


class NoCommands:
    """Stands for the commands beside a pyslurm by hand: they are asked for few nodes, and know no job."""

    def nodes(self, names: set[str] | None = None) -> list[Node]:
        if names is None:
            raise SlurmError("no commands here")
        return [node_of(one) for one in pyslurm_by_hand.nodes() if one.name in names]

    def job(self, text: str) -> JobInfo:
        raise SlurmError(f"job {text} is not in the queue")


@dataclass
class World:
    """A cluster with the contract's state; ``ids`` of its jobs; ``told``: why a back end gave up."""

    cluster: Cluster
    ids: dict[str, str]
    lab: Lab | None = None
    told: list[str] = field(default_factory=list)

    def job(self, which: str, suffix: str = "") -> JobInfo:
        return self.cluster.job(f"{self.ids[which]}{suffix}")


def by_hand() -> World:
    told: list[str] = []
    module = pyslurm_by_hand.module(pyslurm_by_hand.nodes(), pyslurm_by_hand.jobs(account(USER).uid))
    no_commands: ByCommands = NoCommands()  # type: ignore[assignment]
    nowhere = Slurm("/nonexistent", "", time.monotonic() + 60)
    return World(Cluster(nowhere, ByPyslurm(module, no_commands, told.append)), pyslurm_by_hand.IDS, told=told)


def real(lab: Lab) -> World:
    """Bring the lab into the contract's state."""
    lab.check_run(["scontrol", "update", "NodeName=c1", f"Extra={EXTRA}", "State=DRAIN", f"Reason={HOSTILE_REASON}"])
    name, comment = f"--job-name={HOSTILE_NAME}", f"--comment={HOSTILE_COMMENT}"
    more = ("--no-requeue", "--exclude=c1", "--constraint=fast|ubuntu", "--gres=gpu:1")
    ids = {"hostile": lab.sbatch("true", "--hold", name, comment, *more, user=USER)}
    ids["running"] = lab.sbatch("sleep 300", "-w", "c2", "--gres=gpu:1", user=USER)
    ids["array"] = lab.sbatch("sleep 300", "--array=0-2", "--hold", user=USER)
    lab.check_run(["scontrol", "release", f"{ids['array']}_0"])
    ids["het"] = lab.sbatch("true", "--hold", ":", "--hold", "--mem=20", user=USER)
    ids["ended"] = lab.sbatch("exit 7", user=USER)
    ids["after"] = lab.sbatch("true", f"--dependency=afterany:{ids['running']}", user=USER)
    lab.wait_job(ids["running"], "RUNNING")
    lab.wait_until(lambda: lab.job_state(f"{ids['array']}_0") == "RUNNING", 60, "task 0 to run")
    lab.wait_job(ids["ended"], "FAILED")
    place = write_bin(lab)
    slurm = Slurm(place, lab.slurm_conf, time.monotonic() + 600, 30, limit=LARGEST)
    return World(Cluster(slurm, ByCommands(slurm)), ids, lab)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    nodes = (LabNode("c1", features=("fast", "ubuntu")), LabNode("c2", gpus=2, gpu_type="h100"), LabNode("c3"))
    with Lab(nodes=nodes, slurm_conf_extra="PartitionName=few Nodes=c1 State=UP") as one:
        for partition in ("main", "urgent"):
            one.check_run(["scontrol", "update", f"PartitionName={partition}", "Nodes=c[1-2]"])
        yield one


@pytest.fixture(scope="module")
def state(lab: Lab) -> World:
    return real(lab)


@pytest.fixture(params=["commands", "pyslurm"])
def world(request: pytest.FixtureRequest) -> World:
    world: World | None = None
    if request.param == "pyslurm":
        if not RELEASE.startswith("/"):
            return by_hand()
        world = by_real_pyslurm(request.getfixturevalue("state"))
        return by_hand() if world is None else world
    world = request.getfixturevalue("state")
    assert world is not None
    return world


def by_real_pyslurm(state: World) -> World | None:
    """Return the lab as the real pyslurm reads it, None where none of its release is installed."""
    back_end = choose(state.cluster.slurm)
    if not isinstance(back_end, ByPyslurm):
        return None
    told: list[str] = []
    back_end._tell = told.append
    return World(Cluster(state.cluster.slurm, back_end), state.ids, state.lab, told)


def test_nodes_are_whole_whatever_stands_in_them(world: World) -> None:
    nodes = {node.name: node for node in world.cluster.nodes()}
    assert sorted(nodes) == ["c1", "c2"]
    first = nodes["c1"]
    assert first.state == ("IDLE", "DRAIN")
    assert (first.reason, first.extra) == (HOSTILE_REASON, EXTRA)
    assert (first.features, first.active) == (("fast", "ubuntu"), ("fast", "ubuntu"))
    assert sorted(first.partitions) == ["few", "main", "urgent"]
    assert (first.gres, first.cpus, first.memory) == ("", 4, 4096)
    second = nodes["c2"]
    assert second.state == ("MIXED",)
    assert (second.reason, second.extra, second.features) == ("", "", ())
    assert second.gres.partition("(")[0] == "gpu:h100:2"
    assert world.told == []


def test_nodes_are_picked_by_partition_and_name(world: World) -> None:
    def names(**only: object) -> list[str]:
        return sorted(node.name for node in world.cluster.nodes(**only))  # type: ignore[arg-type]

    assert names(partition="few") == ["c1"]
    assert names(partition="few,main") == ["c1", "c2"]
    assert names(partition="nosuch") == []
    assert names(names=["c2", "nosuch"]) == ["c2"]
    assert names(names=[f"n{number}" for number in range(200)] + ["c1"]) == ["c1"]
    assert names(names=[]) == []
    assert names(partition="few", names=["c2"]) == []
    # All partitions of a node, also of one that was asked for by one of them.
    assert sorted(world.cluster.nodes(partition="few")[0].partitions) == ["few", "main", "urgent"]
    assert world.told == []


def test_a_hostile_job_is_only_text(world: World) -> None:
    job = world.job("hostile")
    assert (job.job_name, job.comment) == (HOSTILE_NAME, HOSTILE_COMMENT)
    assert (job.state, job.reason, job.priority, job.hold) == ("PENDING", "JobHeldUser", 0, True)
    assert (job.requeue, job.batch, job.restarts) == (False, True, 0)
    assert (job.excluded, job.required, job.nodes, job.num_nodes) == ("c1", "", "", 1)
    assert (job.features, job.prefer, job.gres, job.admin_comment) == ("fast|ubuntu", "", "gres/gpu:1", "")
    assert (job.user, job.uid, job.partition) == (USER, account(USER).uid, "main")
    assert (job.id, job.name) == (int(world.ids["hostile"]), world.ids["hostile"])
    assert (job.array_job_id, job.array_task_id, job.het_job_id, job.het_offset) == (None, None, None, None)
    assert job.submit is not None
    assert (job.eligible, job.start, job.end) == (None, None, None)
    assert (job.exit_code, job.dependency, job.reservation) == ("0:0", "", "")
    assert world.told == []


def test_a_running_job_says_where_and_since_when(world: World) -> None:
    job = world.job("running")
    assert (job.state, job.nodes, job.required, job.reason) == ("RUNNING", "c2", "c2", "None")
    assert job.priority > 0
    assert not job.hold
    assert job.submit is not None
    assert job.start is not None
    assert 0 <= job.start - job.submit < 3600  # seconds since the epoch, whatever the time zone
    assert world.told == []


def test_a_task_of_an_array_is_itself_and_the_array_is_what_waits(world: World) -> None:
    array = world.ids["array"]
    task = world.job("array", "_0")
    assert (task.state, task.name, task.array_job_id, task.array_task_id) == ("RUNNING", f"{array}_0", int(array), 0)
    waiting = world.job("array", "_2")
    assert (waiting.state, waiting.name, waiting.array_task_id, waiting.array_tasks) == ("PENDING", f"{array}_2", 2, "")
    rest = world.job("array")
    assert (rest.name, rest.array_task_id, rest.array_tasks) == (array, None, "1-2")
    by_number = world.cluster.job(str(task.id))
    assert by_number.name == f"{array}_0"
    assert world.told == []


def test_components_of_a_heterogeneous_job_are_told_apart(world: World) -> None:
    leader, second = world.job("het"), world.job("het", "+1")
    number = int(world.ids["het"])
    assert (leader.id, leader.het_job_id, leader.het_offset) == (number, number, 0)
    assert (second.het_job_id, second.het_offset, second.name) == (number, 1, str(second.id))
    assert second.id != leader.id
    assert world.job("het", "+0") == leader
    assert world.cluster.job(str(second.id)) == second
    assert world.told == []


def read_by_commands(world: World) -> None:
    """Skip where there are no commands: pyslurm leaves to them how a job ended, and on what it depends."""
    if world.lab is None:
        pytest.skip("by pyslurm the commands read it (test_slurm_by_pyslurm.py)")


def test_a_job_that_ended_is_still_known(world: World) -> None:
    read_by_commands(world)
    job = world.job("ended")
    assert (job.state, job.reason, job.exit_code) == ("FAILED", "NonZeroExitCode", "7:0")
    assert job.end is not None
    assert job.start is not None
    assert world.told == []


def test_a_job_that_waits_for_another_says_for_which(world: World) -> None:
    read_by_commands(world)
    job = world.job("after")
    assert job.reason == "Dependency"
    assert job.dependency == f"afterany:{world.ids['running']}(unfulfilled)"
    assert world.told == []


@pytest.mark.parametrize("suffix", ["999", "_99", "+9"])
def test_a_job_that_is_not_there_is_said(world: World, suffix: str) -> None:
    which = "het" if suffix == "+9" else "array"
    with pytest.raises(SlurmError, match="is not in the queue"):
        world.job(which, suffix)


@pytest.mark.parametrize("text", ["", "x", "-h", "12_", "_3", "12+", "1,2", "1 3", "\uff11", "12_[1-3]", "9" * 40])
def test_what_is_no_job_id_is_refused_before_slurm_hears_of_it(world: World, text: str) -> None:
    with pytest.raises(SlurmError, match="is no job id"):
        world.cluster.job(text)


def test_the_reason_is_the_one_that_squeue_shows(lab: Lab, state: World) -> None:
    job = lab.sbatch("sleep 300", "-w", "c2", user=USER)
    lab.wait_job(job, "RUNNING")
    lab.check_run(["scontrol", "requeuehold", job])
    lab.wait_until(lambda: lab.job_state(job) == "PENDING", 60, "the job to be requeued")
    shown = lab.job(job)
    asked = state.cluster.job(job)
    assert (asked.reason, asked.state, asked.restarts) == (shown["reason"], shown["state"], 1)
    assert asked.hold


def test_a_job_that_moves_keeps_its_own_exclusions_and_waits_again(lab: Lab, state: World) -> None:
    job = lab.sbatch("sleep 300", "--exclude=c1", user=USER)
    lab.wait_job(job, "RUNNING")
    state.cluster.move(job, off="c2")
    lab.wait_until(lambda: lab.job_state(job) == "PENDING", 60, "the job to be requeued")
    moved = state.cluster.job(job)
    assert (moved.excluded, moved.hold, moved.restarts) == ("c[1-2]", False, 1)


def test_a_drain_never_replaces_a_reason_and_resume_ends_it(lab: Lab, state: World) -> None:
    with pytest.raises(SlurmError, match="its reason stays"):
        state.cluster.drain("c1", "preflight:mine")
    assert state.cluster.nodes(names=["c1"])[0].reason == HOSTILE_REASON
    state.cluster.drain("c2", "preflight:test: two | words")
    second = state.cluster.nodes(names=["c2"])[0]
    assert (second.state[1:], second.reason) == (("DRAIN",), "preflight:test: two | words")
    state.cluster.resume("c2")
    assert "DRAIN" not in state.cluster.nodes(names=["c2"])[0].state


def test_a_notice_reaches_the_jobs_output(lab: Lab, state: World) -> None:
    running = state.ids["running"]
    state.cluster.notify(running, "preflight: a word to job 7")
    lab.wait_until(lambda: "a word to job 7" in lab.output(running), 30, "the notice in the output")


def test_a_jobs_extra_is_read_where_slurm_has_it(lab: Lab, state: World) -> None:
    if ByCommands(state.cluster.slurm).release()[:2] < JSON_SINCE:
        pytest.skip("this Slurm cannot be asked for a job's --extra")
    job = lab.sbatch("true", "--hold", "--extra=driver>=550 & rack=r1", user=USER)
    assert state.cluster.job(job).extra == "driver>=550 & rack=r1"


def test_nodes_read_as_json_are_those_read_as_fields(state: World) -> None:
    """sinfo is given up where it takes long; what comes instead must be the same."""
    back_end = ByCommands(state.cluster.slurm)
    if back_end.release()[:2] < JSON_SINCE:
        pytest.skip("this Slurm has no scontrol --json")
    slurm = state.cluster.slurm
    _same(lambda: node_json.parsed(slurm.run("scontrol", "show", "node", "--json")), back_end)


def test_nodes_read_as_text_are_those_read_as_fields(lab: Lab, state: World) -> None:
    """Also where every text is of several lines, and each tells lies about lines that follow."""
    _same(lambda: node_text.read(state.cluster.slurm), ByCommands(state.cluster.slurm))
    extra = '{\n  "a": 1,\n\n   "State=DOWN": 2\n}\n'
    comment = "x\n   Extra=forged\n\nNodeName=c9 CoresPerSocket=1 \n   CPUAlloc=0 CPUTot=1 \n\nNodeName=c1 "
    lab.check_run(["scontrol", "update", "NodeName=c1", f"Extra={extra}", f"Comment={comment}"])
    extra = "x\n\nNodeName=c3 CoresPerSocket=1 \n   State=DOWN "
    lies = ["Reason=one\n   Extra=forged\ntwo", "Comment=\nx", f"Extra={extra}"]
    lab.check_run(["scontrol", "update", "NodeName=c2", *lies])
    try:
        _same(lambda: node_text.read(state.cluster.slurm), ByCommands(state.cluster.slurm))
    finally:
        lab.check_run(["scontrol", "update", "NodeName=c2", "Reason=", "Comment=", "Extra="])
        lab.check_run(["scontrol", "update", "NodeName=c1", f"Extra={EXTRA}", "Comment="])


def _same(read: Callable[[], list[Node]], back_end: ByCommands) -> None:
    """Hold a way of reading against sinfo's fields; the cluster moves on between the two, so look more than once."""

    def by_name(nodes: list[Node]) -> dict[str, Node]:
        return {one.name: one._replace(partitions=tuple(sorted(one.partitions))) for one in nodes if one.partitions}

    for _ in range(20):
        found, as_fields = by_name(read()), by_name(back_end.nodes({"c1", "c2"}))  # so few are asked of sinfo
        if found == as_fields:
            return
        time.sleep(0.5)
    assert found == as_fields
