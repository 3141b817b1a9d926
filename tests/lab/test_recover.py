"""[recover] on a real Slurm: RebootProgram is the test's own, which restarts the node's slurmd with another boot id."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import places, processes, unavailable
from lab.cluster import SICK, Cluster, Site
from nvml import sim

pytestmark = pytest.mark.lab
NAMES = ("n1", "n2", "n3")
STEPS = '[recover.steps]\n"gpu.ecc.*" = ["reboot"]\n'
ECC = "preflight:gpu.ecc.uncorrected:gpu0:"


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    """Three nodes whose RebootProgram notes in which boot it was run."""
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    directory = places.temporary()
    program = Path(directory, "reboot-program")
    program.write_text(f"#!/bin/sh\ncat /proc/sys/kernel/random/boot_id >>{directory}/rebooted\n", encoding="utf-8")
    program.chmod(0o755)
    sites = [Site(name, "ubuntu", sim.example("h100x2"), 2, boots=True) for name in NAMES]
    with Cluster(sites, "", f"RebootProgram={program}\nResumeTimeout=600\n", directory=directory) as cluster:
        yield cluster


@pytest.fixture
def cluster(three: Cluster) -> Iterator[Cluster]:
    """The same, as it was at first, with one reboot at a time."""
    three.reset()
    three.write_policy(STEPS, drain="max_nodes = 1")
    Path(three.directory, "rebooted").write_text("", encoding="utf-8")
    yield three
    three.lift_faults()


def _rebooted(cluster: Cluster) -> list[str]:
    """Return the boot ids in which slurmd was told to reboot its node."""
    return Path(cluster.directory, "rebooted").read_text(encoding="utf-8").split()


def _sicken(cluster: Cluster, node: str) -> None:
    cluster.set_gpus(node, sim.example("h100x2"), SICK)


def _drained(cluster: Cluster, node: str) -> None:
    _sicken(cluster, node)
    assert cluster.health_report(node)["action"]["kind"] == "drain"
    cluster.lab.wait_until(lambda: cluster.lab.node_state(node) == "IDLE+DRAIN", 30, "the node to be empty")


def _boot(cluster: Cluster, node: str) -> None:
    """Reboot the node as RebootProgram asked, once it has, and wait until Slurm has it back."""
    lab = cluster.lab
    before = lab.boot_id(node)
    lab.wait_until(lambda: before in _rebooted(cluster), 60, "RebootProgram to be run")
    lab.boot_node(node)
    lab.wait_until(
        lambda: "REBOOT" not in lab.node_state(node) and "NOT_RESP" not in lab.node_state(node), 60, "the boot"
    )


def _health_until(cluster: Cluster, node: str, kind: str) -> dict[str, object]:
    """Run health checks until one has the action; a busy controller may cost one of them its commands."""
    seen: list[dict[str, object]] = []

    def done() -> bool:
        seen.append(cluster.health_report(node)["action"])
        return seen[-1]["kind"] == kind and bool(seen[-1]["enforced"])

    cluster.lab.wait_until(done, 60, f"a health check of {node} with action {kind}")
    return seen[-1]


def test_rebooted_once_never_with_a_job_verified_and_resumed(cluster: Cluster) -> None:
    lab = cluster.lab
    job = lab.sbatch("sleep 300", "--gpus=1", "-w", "n1")
    cluster.wait_report(job)  # its prolog is over
    lab.wait_job(job, "RUNNING")
    _sicken(cluster, "n1")
    _health_until(cluster, "n1", "drain")
    action = cluster.health_report("n1")["action"]
    assert action["kind"] == "none"
    assert "it is rebooted once it is IDLE+DRAIN" in action["detail"]
    lab.check_run(["scontrol", "suspend", job])  # 22.05 calls the node of a suspended job IDLE
    lab.wait_job(job, "SUSPENDED")
    assert cluster.health_report("n1")["action"]["kind"] == "none"
    lab.check_run(["scontrol", "resume", job])
    lab.check_run(["scancel", job])
    lab.wait_until(lambda: lab.node_state("n1") == "IDLE+DRAIN", 60, "the job to leave")
    assert not _rebooted(cluster)
    action = _health_until(cluster, "n1", "reboot")
    (evidence,) = (cluster.node_dir("n1") / "spool" / "evidence").glob("*.n1.*")
    assert str(evidence) in str(action["detail"])
    assert json.loads((evidence / "report.json").read_text(encoding="utf-8"))["facts"]["gpus"]["devices"]
    cluster.set_gpus("n1", sim.example("h100x2"))
    _boot(cluster, "n1")
    assert lab.node_state("n1") == "IDLE+DRAIN"  # Slurm itself gives it back to nobody
    _health_until(cluster, "n1", "resume")
    lab.wait_until(lambda: lab.node_state("n1") == "IDLE", 30, "the node to be back")
    job = lab.sbatch("hostname", "--gpus=2", "-w", "n1")
    assert lab.wait_job(job, ("COMPLETED", "FAILED"))["state"] == "COMPLETED"
    _drained(cluster, "n1")  # the same again, within the hold-down
    for _ in range(2):
        assert cluster.health_report("n1")["action"]["kind"] == "none"
    assert len(_rebooted(cluster)) == 1


def test_no_more_nodes_than_the_breaker_lets_us(cluster: Cluster) -> None:
    lab = cluster.lab
    for name in NAMES:
        _sicken(cluster, name)
    for _ in range(3):
        threads = [threading.Thread(target=cluster.health, args=(name,)) for name in NAMES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    away = [name for name in NAMES if "DRAIN" in lab.node_state(name)]
    assert len(away) == 1

    def asked() -> bool:
        return bool(_rebooted(cluster)) or cluster.health(away[0]).returncode != 0

    lab.wait_until(asked, 60, "RebootProgram to be run")
    held = next(name for name in NAMES if name not in away)
    action = cluster.health_report(held)["action"]
    assert action["detail"].startswith("drain breaker:"), action
    assert lab.node_state(held) == "IDLE"
    doctor = lab.run([f"{cluster.prefix}/bin/preflight", "doctor"], env={"SLURMD_NODENAME": held}).stdout
    shown = " ".join(doctor.split())
    assert "drain breaker: held at the latest health check" in shown
    assert f"slurm.conf RebootProgram: {cluster.directory}/reboot-program" in shown
    _boot(cluster, away[0])
    report = cluster.health_report(away[0])
    message = next(one["message"] for one in report["findings"] if one["check"] == "gpu.ecc.uncorrected")
    assert message.endswith(", not cured")
    assert len(_rebooted(cluster)) == 1


def test_killed_once_slurm_has_the_command_it_is_rebooted_once(cluster: Cluster) -> None:
    lab = cluster.lab
    _drained(cluster, "n2")
    stuck = Path(cluster.directory, "slurm-stuck")
    stuck.write_text("reboot *", encoding="utf-8")
    thread = threading.Thread(target=cluster.health, args=("n2",))
    thread.start()
    lab.wait_until(lambda: "scontrol reboot n2" in cluster.called(), 60, "the command")
    lab.wait_until(lambda: "REBOOT" in lab.node_state("n2"), 30, "Slurm to have it")
    for one in _hooks(cluster):
        processes.kill(one)
    thread.join()
    stuck.unlink()
    if "REQUESTED" in lab.node_state("n2"):
        assert cluster.health("n2").returncode == 0
    _boot(cluster, "n2")
    for _ in range(2):
        assert cluster.health_report("n2")["action"]["kind"] == "none"
    assert len(_rebooted(cluster)) == 1
    assert len([call for call in cluster.called() if call.startswith("scontrol reboot")]) == 1
    cluster.set_gpus("n2", sim.example("h100x2"))
    _health_until(cluster, "n2", "resume")


def _hooks(cluster: Cluster) -> list[processes.Process]:
    """Return the health checks of this lab that run now, and what they have started."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        process = processes.identify(int(name))
        if process and "hook" in words and any(word.startswith(f"{cluster.prefix}/versions/") for word in words):
            found += [process, *processes.descendants(process.pid)]
    return found
