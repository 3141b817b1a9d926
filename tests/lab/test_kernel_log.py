"""What a job leaves, provokes and meets: the log fed through the node's own /dev/kmsg; and the sense of time."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import unavailable
from lab.cluster import SICK, SITES, Cluster
from nvml import sim

pytestmark = pytest.mark.lab
NODE = "ubuntu2"
ECC = "preflight:gpu.ecc.uncorrected:gpu0:"
XID = "preflight:gpu.xid:gpu0:"
LOST = "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
FAULT = "NVRM: Xid (PCI:0000:01:00): 31, pid=4242, name=python3, Ch 00000012, intr 00000000. MMU Fault"


class Site:
    """One cluster, and the kernel's log of its node."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.lab = cluster, cluster.lab
        self.kmsg = cluster.node_dir(NODE) / "root/dev/kmsg"
        self.kmsg.parent.mkdir(parents=True, exist_ok=True)
        self.number = 0
        self.log("Linux version 6.1.0", 5)

    def log(self, text: str, priority: int = 3) -> None:
        """Have the kernel say something, or a program where ``priority`` has another facility than 0."""
        self.number += 1
        with self.kmsg.open("a", encoding="ascii") as file:
            file.write(f"{priority},{self.number},{self.number * 1_000_000},-;{text}\n SUBSYSTEM=pci\n")

    def job(self, while_it_runs: Any) -> tuple[str, dict[str, Any]]:
        """Run a job on all GPUs of the node, do something once it runs; return its id and the epilog's report."""
        go = Path(self.lab.work, f"go-{self.number}-{os.urandom(4).hex()}")
        job = self.lab.sbatch(f"while [ ! -e {go} ]; do sleep 0.2; done", "--gpus=2", "-w", NODE)
        self.lab.wait_job(job, "RUNNING")
        assert self.cluster.wait_report(job, timeout=90)["verdict"] == "ready"
        while_it_runs()
        go.touch()
        report = self.cluster.wait_report(job, phase="epilog", timeout=90)
        assert self.lab.wait_job(job, ("COMPLETED", "FAILED"))["state"] == "COMPLETED"
        return job, report

    def drained(self) -> bool:
        return "DRAIN" in self.lab.node_state(NODE)

    def idle(self) -> None:
        self.lab.wait_until(lambda: self.lab.node_state(NODE) == "IDLE", 60, "the node to be back")

    def health(self) -> dict[str, Any]:
        return self.cluster.health_report(NODE)


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    with Cluster([SITES["ubuntu1"], SITES[NODE]]) as cluster:
        yield Site(cluster)


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    running.cluster.reset()
    yield running
    running.cluster.lift_faults()


def told(report: dict[str, Any], check: str) -> list[tuple[str, str]]:
    return [(one["status"], one["blame"]) for one in report["findings"] if one["check"] == check]


def test_a_job_that_leaves_a_process_on_the_gpu_is_to_blame_and_the_node_stays(site: Site) -> None:
    def leave() -> None:
        site.cluster.set_gpus(NODE, sim.example("h100x2"), {"gpu.0.process.0": f"{os.getpid()}:1073741824"})

    job, report = site.job(leave)
    assert report["verdict"] == "degraded"
    assert ("warn", "user") in told(report, "gpu.processes")
    assert {one["blame"] for one in report["changes"] if one["fact"] == "gpu0.processes"} == {"user"}
    assert not site.drained()
    shown = site.cluster.preflight("report", job).stdout
    assert "gpu.processes" in shown


def test_a_job_that_provokes_xid_31_is_to_blame_and_the_node_stays(site: Site) -> None:
    job, report = site.job(lambda: site.log(FAULT))
    assert report["verdict"] == "degraded"
    assert told(report, "gpu.xid.application") == [("warn", "user")]
    assert [(one["fact"], one["blame"]) for one in report["changes"] if "xid" in one["fact"]] == [("gpu0.xid", "user")]
    assert not site.drained()
    assert told(site.health(), "gpu.xid") == [("pass", "node")]  # it was that job's, and is past
    shown = site.cluster.preflight("report", job).stdout
    assert "Xid 31" in shown


def test_a_job_that_meets_xid_79_has_its_node_drained_until_another_boot_or_hand(site: Site) -> None:
    def lose() -> None:
        site.log(LOST, 12)  # what a program writes counts for nothing: this one is another job's trick
        site.log(LOST)

    job, report = site.job(lose)
    assert (report["verdict"], report["action"]["kind"]) == ("unhealthy", "drain")
    assert told(report, "gpu.xid") == [("fail", "node")]
    assert [(one["fact"], one["blame"]) for one in report["changes"] if "xid" in one["fact"]] == [("gpu0.xid", "node")]
    site.lab.wait_until(site.drained, 30, "the drain")
    assert (site.lab.node_reason(NODE) or "").startswith(XID)
    shown = site.cluster.preflight("report", job).stdout
    assert "Xid 79" in shown
    assert site.health()["action"]["kind"] != "resume"  # GPU and NVML are well: the log is not
    site.lab.check_run(["scontrol", "update", f"NodeName={NODE}", "State=RESUME"])
    site.idle()
    job = site.lab.sbatch("true", "--gpus=2", "-w", NODE)  # before any health check: the admin has had the word
    assert site.lab.wait_job(job, ("COMPLETED", "FAILED"))["state"] == "COMPLETED"
    assert "another hand" in site.cluster.wait_report(job)["action"]["detail"]
    for _ in range(2):
        assert told(site.health(), "gpu.xid") == [("pass", "node")]
    assert not site.drained()
    _, report = site.job(lambda: None)
    assert report["verdict"] == "ready"


def test_what_a_program_writes_to_the_log_drains_nobody(site: Site) -> None:
    _, report = site.job(lambda: [site.log(LOST, 12), site.log(LOST, 14)])
    assert report["verdict"] == "ready"
    assert not site.drained()


def test_the_third_failure_in_a_row_drains_and_one_pass_resumes_nothing(site: Site) -> None:
    check = '[checks."gpu.ecc.uncorrected"]\nafter = 3\nresume_after = 2\n'
    site.cluster.write_policy(check)
    site.cluster.set_gpus(NODE, sim.example("h100x2"), SICK)
    for _ in range(2):
        report = site.health()
        assert (report["verdict"], report["action"]["kind"]) == ("degraded", "none")
        assert not site.drained()
    site.lab.wait_until(lambda: site.health()["action"]["enforced"] and site.drained(), 90, "the drain")
    assert (site.lab.node_reason(NODE) or "").startswith(ECC)
    site.cluster.set_gpus(NODE, sim.example("h100x2"))
    assert site.health()["action"]["kind"] == "none"  # well once
    site.cluster.set_gpus(NODE, sim.example("h100x2"), SICK)
    site.health()
    assert site.drained()
    site.cluster.set_gpus(NODE, sim.example("h100x2"))
    report = site.health()
    assert report["action"]["detail"] == "not resumed yet: well in 1 of 2 health checks in a row"
    assert site.drained()

    def resumed() -> bool:
        site.health()
        return not site.drained()

    site.lab.wait_until(resumed, 90, "a later health check to resume it")
    site.idle()
