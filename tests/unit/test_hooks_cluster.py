"""A node has one cluster in all its reports, whichever phase or agent writes them, and no prolog asks Slurm for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from preflight.agent import wire
from unit.agent_site import AgentSite, spoken
from unit.hook_site import JOB, Site

CONFIG = "Configuration data as of 2026-11-24T10:00:00\\nClusterName             = asked\\nSLURM_VERSION = 24.11.5\\n"


def health(site: Site, **environment: str) -> str:
    """Run the health check as slurmd does, with the node's name and nothing else; return the cluster of its report."""
    done = site.hook("health", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    places = sorted((site.spool / "reports" / "node").glob("*.health.json"), key=lambda one: one.stat().st_mtime_ns)
    cluster: str = json.loads(places[-1].read_text())["cluster"]
    return cluster


def of_job(site: Site, phase: str, conf: Path | None = None, cluster: str = "lab") -> str:
    more = {"SLURM_CONF": str(conf)} if conf else {}
    assert site.hook(phase, **JOB, SLURM_CLUSTER_NAME=cluster, **more).returncode == 0
    name: str = site.report(7, phase)["cluster"]
    return name


def controller(site: Site) -> None:
    script = site.place / "bin" / "scontrol"
    script.write_text(f"#!/bin/sh\necho \"scontrol $*\" >>{site.log}\nprintf '{CONFIG}'\n")


def of_config(site: Site) -> list[str]:
    return [one for one in site.slurm_calls() if one == "scontrol show config"]


def test_every_phase_and_the_agent_name_the_same_cluster(idle: AgentSite) -> None:
    site = idle.site
    site.policy(cluster="")
    conf = site.place / "slurm.conf"
    conf.write_text("include names.conf\nNodeName=n1 CPUs=4\n")
    (site.place / "names.conf").write_text('ClusterName="Lab" SlurmctldHost=here\n')
    assert health(site) == "lab"  # before any job
    assert [of_job(site, phase, conf) for phase in ("prolog", "epilog")] == ["lab", "lab"]
    idle.start()
    said = spoken(idle, {**JOB, "SLURM_JOB_ID": "8", "SLURM_CLUSTER_NAME": "lab", "SLURM_CONF": str(conf)})
    report: dict[str, Any] = json.loads(said[len(wire.PASS) :])
    assert (report["source"], report["cluster"]) == ("agent", "lab")
    assert health(site) == "lab"
    assert of_config(site) == []


def test_the_policys_name_counts_in_every_phase(hooked: Site) -> None:
    (hooked.place / "slurm.conf").write_text("ClusterName=other\n")
    hooked.policy(cluster="mine")
    assert [of_job(hooked, phase, cluster="other") for phase in ("prolog", "epilog")] == ["mine", "mine"]
    assert health(hooked) == "mine"


@pytest.mark.parametrize("first", ["prolog", "epilog"])
def test_what_slurmd_told_a_job_counts_for_the_health_check(hooked: Site, first: str) -> None:
    """slurmd -f with a file that is nowhere else; and one that has gone since, or cannot be read."""
    hooked.policy(cluster="")
    (hooked.place / "slurm.conf").write_text("ClusterName=stale\n")
    (hooked.place / "far").mkdir()
    conf = hooked.place / "far" / "own.conf"
    conf.write_text("ClusterName=Real\n")
    assert of_job(hooked, first, conf, "Real") == "Real"
    assert health(hooked) == "Real"
    conf.write_text("ClusterName=renamed\n")  # slurmd is started anew, and no job has come yet
    assert health(hooked) == "renamed"
    for text in (None, "include nowhere.conf\n", "\0"):
        conf.unlink() if text is None else conf.write_text(text)
        assert health(hooked) == "Real"
    assert of_job(hooked, first, conf, "renamed") == "renamed"
    assert health(hooked) == "renamed"
    assert of_config(hooked) == []


def test_the_controller_is_asked_once_and_by_the_health_check_alone(hooked: Site) -> None:
    hooked.policy(cluster="")
    (hooked.place / "slurm.conf").write_text("NodeName=n1\n")
    assert hooked.hook("prolog", **JOB).returncode == 0
    assert (hooked.report()["cluster"], of_config(hooked)) == ("", [])
    assert health(hooked) == ""  # no controller answers, and it is asked again by the next
    controller(hooked)
    assert [health(hooked), health(hooked)] == ["asked", "asked"]
    assert len(of_config(hooked)) == 2
    hooked.hook("epilog", **JOB)
    assert hooked.report(7, "epilog")["cluster"] == "asked"


@pytest.mark.parametrize("text", ["", "[]", '{"cluster": 5, "conf": 7}', '{"cluster": "a\\u2028b", "conf": ""}', "nul"])
def test_what_is_kept_may_be_anything(hooked: Site, text: str) -> None:
    hooked.policy(cluster="")
    (hooked.place / "slurm.conf").write_text("NodeName=n1\n")
    hooked.run_dir.mkdir(mode=0o700)
    (hooked.run_dir / "cluster-n1.json").write_text(text)
    assert health(hooked) == ""
    assert of_job(hooked, "prolog") == "lab"
    assert health(hooked) == "lab"
