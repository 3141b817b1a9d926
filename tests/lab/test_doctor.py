"""`preflight doctor` on a real Slurm: all is fine once installed, and each thing broken is that finding."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import placing, unavailable
from lab.cluster import Cluster, sites_of

pytestmark = pytest.mark.lab
NODES = ("ubuntu1", "debian1")
PARAMETERS = "batch_sched_delay=0,sched_interval=1,bf_interval=1,bf_resolution=1"
EXTRA = f"""
HealthCheckInterval=300
HealthCheckNodeState=ANY,CYCLE
SchedulerParameters={PARAMETERS},nohold_on_prolog_fail
CliFilterPlugins=cli_filter/lua
"""


@pytest.fixture(scope="module")
def installed() -> Iterator[Cluster]:
    """A node with GPUs and one without, with the lines that `preflight install` prints."""
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    made = Cluster(list(sites_of(*NODES)), extra=EXTRA)
    shutil.copy(f"{made.prefix}/share/preflight/cli_filter.lua", f"{made.directory}/cli_filter.lua")
    with made:
        publish(made)
        yield made


@pytest.fixture
def cluster(installed: Cluster) -> Iterator[Cluster]:
    """The same, as it was at first; what a test changes in files it puts back itself."""
    installed.reset()
    conf, plugstack = Path(installed.lab.slurm_conf), Path(installed.directory, "plugstack.conf")
    texts = [(path, path.read_text()) for path in (conf, plugstack)]
    yield installed
    changed = [path for path, text in texts if path.read_text() != text]
    for path, text in texts:
        path.write_text(text)
    if conf in changed:
        reconfigure(installed)
    installed.lift_faults()


def doctor(cluster: Cluster, *arguments: str, node: str = "ubuntu1", user: str | None = None) -> dict[str, Any]:
    """Run it as the installed command and return its JSON; the exit code says whether there are findings."""
    done = cluster.lab.run(
        [f"{cluster.prefix}/bin/preflight", "doctor", "--json", *arguments], user=user, env={"SLURMD_NODENAME": node}
    )
    assert done.stderr == ""
    data: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if data["counts"]["fail"] or data["counts"]["warn"] else 0)
    return data


def findings(data: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {row["subject"]: row for row in data["results"] if row["status"] in ("fail", "warn")}


def publish(cluster: Cluster) -> None:
    """Let every node tell its Features, which Slurm forgets at each reconfigure."""
    for node in NODES:
        placing.publish(cluster, node)


def reconfigure(cluster: Cluster) -> None:
    cluster.lab.check_run(["scontrol", "reconfigure"])
    cluster.lab.wait_until(
        lambda: all(cluster.lab.node_state(node) == "IDLE" for node in NODES), 20, "the nodes to be idle"
    )
    publish(cluster)


def change(cluster: Cluster, old: str, new: str) -> None:
    """Change slurm.conf and let Slurm read it."""
    path = Path(cluster.lab.slurm_conf)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    reconfigure(cluster)


def files(cluster: Cluster) -> list[str]:
    """Return what stands in spools, reports and the runtime directory, caches aside."""
    tops = [Path(cluster.run_dir), *(cluster.node_dir(node) / name for node in NODES for name in ("spool", "reports"))]
    return sorted(str(path) for top in tops for path in top.rglob("*") if path.suffix == ".json")


@pytest.mark.parametrize("node", NODES)
def test_after_installation_all_is_fine_and_nothing_is_left(cluster: Cluster, node: str) -> None:
    before = files(cluster)
    data = doctor(cluster, node=node)
    assert findings(data) == {}
    assert [row for row in data["results"] if row["status"] == "unknown"] == []
    assert set(data["roles"]) == {"controller", "node"}  # the lab's host is both
    dry = {row["subject"]: row["text"] for row in data["results"] if row["subject"].startswith("dry run")}
    assert len(dry) == 4
    for text in dry.values():
        assert "exit status 0" in text
    assert files(cluster) == before
    asked = {call.split()[0] for call in cluster.called()}
    assert asked <= {"scontrol", "sinfo", "squeue"}
    assert [call for call in cluster.called() if "update" in call or "requeue" in call] == []
    assert cluster.lab.node_state(node) == "IDLE"


def test_a_node_that_would_be_drained_is_not_drained_by_looking(cluster: Cluster) -> None:
    cluster.set_gpus("ubuntu1", cluster.sites[0].scenario, {"gpu.0.ecc.uncorrected.volatile": 2})
    data = doctor(cluster)
    texts = {row["subject"]: row["text"] for row in data["results"]}
    assert "verdict unhealthy" in texts["dry run prolog"]
    assert "verdict unhealthy" in texts["dry run healthcheck"]
    assert "this node would be drained: gpu.ecc.uncorrected" in findings(data)["dry run prolog"]["text"]
    assert cluster.lab.node_state("ubuntu1") == "IDLE"
    assert not list(cluster.node_dir("ubuntu1").glob("spool/drain-*"))


@pytest.mark.parametrize(
    ("old", "new", "subject"),
    [
        ("PrologFlags=Alloc,DeferBatch", "PrologFlags=Alloc", "slurm.conf PrologFlags"),
        (",nohold_on_prolog_fail", "", "slurm.conf nohold_on_prolog_fail"),
        ("HealthCheckInterval=300", "HealthCheckInterval=0", "slurm.conf HealthCheckInterval"),
        ("HealthCheckNodeState=ANY,CYCLE", "HealthCheckNodeState=IDLE", "slurm.conf HealthCheckNodeState"),
        ("TaskProlog=", "#TaskProlog=", "slurm.conf TaskProlog"),
        ("Epilog=", "#Epilog=", "slurm.conf Epilog"),
        ("CliFilterPlugins=", "#CliFilterPlugins=", "cli_filter.lua"),
        ("ClusterName=", "BatchStartTimeout=6\nClusterName=", "slurm.conf BatchStartTimeout"),
        ("ClusterName=", "PrologEpilogTimeout=8\nClusterName=", "slurm.conf PrologEpilogTimeout"),
    ],
)
def test_one_thing_in_slurm_conf_is_that_finding(cluster: Cluster, old: str, new: str, subject: str) -> None:
    if "BatchStartTimeout" in new:
        path = Path(cluster.lab.slurm_conf)
        kept = [line for line in path.read_text().splitlines() if not line.startswith("BatchStartTimeout")]
        path.write_text("\n".join(kept) + "\n")
    change(cluster, old, new)
    found = findings(doctor(cluster))
    assert list(found) == [subject]
    assert found[subject]["fix"]
    assert found[subject]["where"] == (
        f"{cluster.directory}/cli_filter.lua" if "Cli" in old else "scontrol show config"
    )


def test_a_wrapper_of_the_sites_own(cluster: Cluster) -> None:
    wrapper = Path(cluster.directory, "site-prolog")
    wrapper.write_text(f"#!/bin/sh\n/bin/true || exit 1\nexec {cluster.prefix}/libexec/prolog\n")
    wrapper.chmod(0o755)
    change(cluster, f"Prolog={cluster.hook('prolog')}\n", f"Prolog={wrapper}\n")
    data = doctor(cluster)
    assert findings(data) == {}
    row = next(row for row in data["results"] if row["subject"] == "slurm.conf Prolog")
    assert row["text"] == f"{wrapper} calls {cluster.prefix}/libexec/prolog"
    job = cluster.lab.sbatch("true", "-w", "debian1", "--require=debian>=12")
    assert cluster.wait_report(job)["verdict"] == "ready"  # and so it does
    cluster.lab.wait_job(job, "COMPLETED")
    wrapper.write_text("#!/bin/sh\nexit 0\n")
    data = doctor(cluster)
    assert findings(data) == {}
    assert [row["subject"] for row in data["results"] if row["status"] == "unknown"] == ["slurm.conf Prolog"]


def test_nodes_whose_features_were_forgotten_are_said(cluster: Cluster) -> None:
    for node in NODES:
        plain = ["AvailableFeatures=plain", "ActiveFeatures=plain"]
        cluster.lab.check_run(["scontrol", "update", f"NodeName={node}", *plain])
    try:
        found = findings(doctor(cluster))
        assert list(found) == ["published"]
        assert found["published"]["text"].startswith("0 of 2 nodes have published")
        placing.publish(cluster, "debian1")
        assert "this node has not (1 of 2" in findings(doctor(cluster))["published"]["text"]
        found = findings(doctor(cluster, node="debian1"))
        assert found["published"]["text"].startswith("1 of 2 nodes have published by Features: no job with --require")
        assert " publish on ubuntu1" in found["published"]["fix"]
        publish(cluster)
        assert findings(doctor(cluster, node="debian1")) == {}
    finally:
        publish(cluster)


def test_a_host_that_runs_several_nodes_is_told_to_name_one(cluster: Cluster) -> None:
    found = findings(doctor(cluster, node=""))
    assert found["node"]["text"].startswith("this host runs debian1, ubuntu1")
    assert found["node"]["fix"].endswith("doctor --node debian1")
    assert "node" not in findings(doctor(cluster))


def test_several_prolog_lines(cluster: Cluster) -> None:
    """24.11 and later run all of them, 22.05 the last; the doctor says what will run."""
    other = Path(cluster.directory, "other-prolog")
    ran = Path(cluster.directory, "other-ran")
    other.write_text(f"#!/bin/sh\ndate >>{ran}\n")
    other.chmod(0o755)
    line = f"Prolog={cluster.hook('prolog')}\n"
    change(cluster, line, f"{line}Prolog={other}\n")
    several = cluster.release.version() >= (24, 11)
    data = doctor(cluster)
    row = next(row for row in data["results"] if row["subject"] == "slurm.conf Prolog")
    assert row["status"] == ("pass" if several else "unknown")
    job = cluster.lab.sbatch("true", "-w", "debian1")
    cluster.lab.wait_job(job, "COMPLETED")
    assert ran.exists()
    assert bool(cluster.reports(job)) == several


@pytest.mark.parametrize(
    ("old", "new", "subject"),
    [
        ("optional", "#optional", "plugstack.conf"),
        ("preflight.so ", "preflight2.so ", "plugstack.conf"),
        ("/bin/preflight", "/bin/preflite", "plugstack.conf preflight="),
    ],
)
def test_one_thing_in_plugstack_conf(cluster: Cluster, old: str, new: str, subject: str) -> None:
    path = Path(cluster.directory, "plugstack.conf")
    path.write_text(path.read_text().replace(old, new))
    assert list(findings(doctor(cluster))) == [subject]


def test_a_plugin_of_another_release_is_what_slurm_refuses_too(cluster: Cluster) -> None:
    plugin = Path(cluster.prefix, "lib/slurm/preflight.so")
    data = plugin.read_bytes()
    version = cluster.release.version()
    number = (version[0] << 16) + (version[1] << 8) + version[2]
    before = number.to_bytes(4, "little")
    assert data.count(before) >= 1

    def put(micro: int, minor: int) -> None:
        other = (version[0] << 16) + (minor << 8) + micro
        plugin.write_bytes(data.replace(before, other.to_bytes(4, "little")))

    try:
        put(version[2] + 1, version[1])
        assert findings(doctor(cluster)) == {}
        assert "--require" in cluster.lab.run(["sbatch", "--help"]).stdout
        put(version[2], version[1] + 1)
        assert list(findings(doctor(cluster))) == ["plugin release"]
        assert "--require" not in cluster.lab.run(["sbatch", "--help"]).stdout
    finally:
        plugin.write_bytes(data)


def test_modes_spool_switch_and_observe(cluster: Cluster) -> None:
    libexec, spool = Path(cluster.prefix, "libexec"), cluster.node_dir("ubuntu1") / "spool"
    for path, subject in ((libexec, "libexec/prolog"), (spool, "spool")):
        mode = path.stat().st_mode & 0o7777
        path.chmod(0o777)
        found = findings(doctor(cluster))
        path.chmod(mode)
        assert subject in found
        assert all(name.startswith(("libexec/", "spool")) for name in found)
    Path(cluster.directory, "etc/off").touch()
    assert list(findings(doctor(cluster))) == ["kill switch"]
    os.unlink(f"{cluster.directory}/etc/off")
    cluster.write_policy(mode="observe")
    assert list(findings(doctor(cluster))) == ["mode"]
    cluster.write_raw_policy(cluster.policy_text() + "\n[hook]\n")
    data = doctor(cluster, node="debian1")
    assert "policy" in findings(data)


def test_with_the_controller_down_and_as_a_user(cluster: Cluster) -> None:
    data = doctor(cluster, user="pfalice")
    assert data["root"] is False
    assert findings(data) == {}
    assert "dry run" in {row["subject"] for row in data["results"] if row["status"] == "unknown"}
    cluster.lab._slurmctld.stop()
    try:
        data = doctor(cluster)
        assert findings(data) == {}
        row = next(row for row in data["results"] if row["subject"] == "slurm.conf")
        assert (row["status"], row["where"]) == ("unknown", cluster.lab.slurm_conf)
        assert "does not answer" in row["text"]
        assert "node" in data["roles"]
    finally:
        cluster.lab.start_slurmctld()
        publish(cluster)


def test_on_a_login_node_hooks_are_not_looked_at(cluster: Cluster) -> None:
    data = doctor(cluster, "--role", "login", "--node", "login1")  # [report] dir is each node's own here
    assert findings(data) == {}
    assert not [row for row in data["results"] if row["subject"].startswith(("dry run", "spool"))]
    assert "plugin release" in {row["subject"] for row in data["results"] if row["status"] == "pass"}
