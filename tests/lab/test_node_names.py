"""A cluster whose node names are no plain n1 to n9: w01 to w120, where Slurm writes w[01-120], and racks r1n1 to r3n4.

Five nodes run; the others are in slurm.conf for the future (State=FUTURE), which the lab does not wait for.
One cluster for all tests here.
"""

import json
import shlex
from collections.abc import Iterator

import pytest

from lab import unavailable
from lab.cluster import SICK, Cluster, Site
from nvml import sim
from preflight.hostlist import names

pytestmark = pytest.mark.lab
FITS, OLD = sim.example("h100x2"), sim.example("a100x2-old-driver")
CUDA = "--require=cuda>=12.4"
EXTRA = """
NodeName=w[01-98,102-120] NodeAddr=127.0.0.1 CPUs=4 RealMemory=4096 Gres=gpu:2 State=FUTURE
NodeName=r1n[2-4],r2n[1-4],r3n[2-4] NodeAddr=127.0.0.1 CPUs=4 RealMemory=4096 Gres=gpu:2 State=FUTURE
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    sites = [
        Site("w99", "ubuntu", FITS, 2),
        Site("w100", "rocky", OLD, 2),
        Site("w101", "rocky", OLD, 2),
        Site("r1n1", "rocky", OLD, 2),
        Site("r3n1", "rocky", OLD, 2),
    ]
    with Cluster(sites, extra=EXTRA) as cluster:
        yield cluster


@pytest.fixture
def named(shared: Cluster) -> Iterator[Cluster]:
    shared.reset()
    yield shared
    shared.lift_faults()


def _state(cluster: Cluster, node: str) -> str:
    return cluster.lab.check_run(["sinfo", "-h", "-N", "-n", node, "-o", "%T"]).split()[0].rstrip("*")


@pytest.mark.parametrize(
    ("own", "first", "second"), [("w[01-98]", "w100", "w101"), ("r1n2,r2n[1-2],r3n2", "r1n1", "r3n1")]
)
def test_a_second_move_keeps_both_nodes_and_the_users_own(named: Cluster, own: str, first: str, second: str) -> None:
    lab = named.lab
    job = lab.sbatch("sleep 1", CUDA, "--gpus=1", "-x", own, "--begin=now+1hour")
    for number, node in enumerate((first, second), 1):
        with named.only(node):
            lab.check_run(["scontrol", "update", f"JobId={job}", "StartTime=now"])
            lab.wait_until(lambda node=node: bool(named._of(job, node, "prolog")), 60, f"the job on {node}")
            report = named.wait_report(job, node)
            assert report["action"]["kind"] == "requeue", report["action"]
            lab.check_run(["scontrol", "update", f"JobId={job}", "StartTime=now+1hour"])
            lab.wait_until(lambda: _state(named, node) == "idle", 30, f"{node} to be idle")  # noqa: B023
        state = lab.job(job)
        assert state["restarts"] == str(number)
        assert state["priority"] != "0"
    excluded = lab.check_run(["squeue", "-h", "-j", job, "-o", "%x"]).strip()
    assert names(excluded) == names(own) | {first, second}
    why = named.preflight("why", job)
    assert why.returncode == 0, why.stderr
    assert first in why.stdout
    assert second in why.stdout
    lab.check_run(["scancel", job])


@pytest.mark.parametrize(("own", "node"), [("w[01-99],w101,r1n1,r3n1", "w100"), ("w[99-101],r1n2,r3n1", "r1n1")])
def test_what_why_says_to_type_gives_back_the_users_own_excludes(named: Cluster, own: str, node: str) -> None:
    lab = named.lab
    job = lab.sbatch("true", "--require=gpu=b200", "--gpus=1", "-x", own)
    assert named.wait_report(job, node)["action"]["kind"] == "hold"  # no node is left
    lab.wait_job(job, "PENDING")
    told = json.loads(named.preflight("why", job, "--json", user="pfalice").stdout)
    steps = [step["commands"] for step in told["next"] if any("ExcNodeList=" in one for one in step["commands"])]
    assert len(steps) == 1, told
    for command in steps[0]:
        done = lab.run(shlex.split(command), user="pfalice")
        assert done.returncode == 0, f"{command}: {done.stderr}"
    excluded = lab.check_run(["squeue", "-h", "-j", job, "-o", "%x"]).strip()
    assert names(excluded) == names(own)
    assert lab.job(job)["priority"] != "0"
    lab.check_run(["scancel", job])


def test_a_node_is_drained_and_resumed_and_the_breaker_counts(named: Cluster) -> None:
    named.write_policy(drain="max_nodes = 1")
    for node in ("w100", "r3n1"):
        named.set_gpus(node, OLD, SICK)
    named.health_report("w100")
    assert _state(named, "w100").startswith("drain")
    report = named.health_report("r3n1")
    assert (report["action"]["kind"], report["action"]["enforced"]) == ("drain", False)
    assert _state(named, "r3n1") == "idle"
    named.set_gpus("w100", OLD)
    named.health_report("w100")
    assert _state(named, "w100") == "idle"


@pytest.mark.parametrize("option", ["--exclude=w[01-101]", "--nodelist=w[099-100]", "--exclude=r[1-3]n[1-4]"])
def test_plan_reads_the_lists_that_slurm_writes(named: Cluster, option: str) -> None:
    done = named.preflight("plan", option, "--gpus=1", "--wrap=true")
    assert done.returncode != 2, done.stderr
    assert "host list" not in done.stderr


def test_sbatch_takes_them_too(named: Cluster) -> None:
    done = named.preflight("sbatch", "-x", "w[01-98,100-120],r[1-3]n[1-4]", "--gpus=1", "--wrap=true", user="pfalice")
    assert done.returncode == 0, done.stderr
    job = done.stdout.split()[-1]
    named.lab.wait_job(job, "COMPLETED")
    assert named.wait_report(job)["node"] == "w99"
