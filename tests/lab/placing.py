"""A cluster whose nodes have told Slurm what they are, with cli_filter.lua at submit: what tests of placing share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from lab import releases
from lab.cluster import Cluster, sites_of

REPOSITORY = Path(__file__).parents[2]
# The nodes that most tests have: of three systems, one of them alone with a CUDA of 12.4 or later.
NODES = ("ubuntu1", "rocky1", "debian1")
# Slurm's word for what the filter sets: the node's Features, or its Extra.
WAYS = ("constraint", "extra")
_VIA = {"constraint": "features", "extra": "extra"}
_LAB = "batch_sched_delay=0,sched_interval=1,bf_interval=1,bf_resolution=1"


def lacks(way: str) -> str | None:
    """Return why this Slurm does not place by ``way``, or None."""
    if way == "extra" and releases.chosen().version() < (24, 5):
        return "this Slurm has no extra_constraints"
    return None


def make(way: str, nodes: Iterable[str] = NODES) -> Cluster:
    """Return a cluster of the demonstration's ``nodes`` that places by ``way``; they have published nothing yet."""
    parameters = f"{_LAB},extra_constraints" if way == "extra" else _LAB
    made = Cluster(
        list(sites_of(*nodes)),
        policy=f"[publish]\nenabled = true\nvia = '{_VIA[way]}'\n",
        extra=f"CliFilterPlugins=cli_filter/lua\nSchedulerParameters={parameters}",
    )
    write_filter(made, way)
    return made


def write_filter(cluster: Cluster, way: str, program: str | None = None, site: str = "", limit_s: int = 20) -> None:
    """Put the filter where Slurm finds it, included from a site's own file as docs/placement.md says.

    ``limit_s`` is far above what it takes: a machine under load must not change what a test sees.
    """
    shutil.copy(REPOSITORY / "slurm_plugin/cli_filter.lua", f"{cluster.directory}/preflight_cli_filter.lua")
    program = program or f"{cluster.prefix}/bin/preflight"
    Path(cluster.directory, "cli_filter.lua").write_text(
        f'preflight = {{ program = "{program}", to = "{way}", limit_s = {limit_s} }}\n'
        f'dofile("{cluster.directory}/preflight_cli_filter.lua")\n{site}',
        encoding="utf-8",
    )


def publish(cluster: Cluster, node: str, *options: str) -> str:
    """Publish a node's facts as it would itself."""
    done = cluster.lab.run(
        [f"{cluster.prefix}/bin/preflight", "publish", "--config", cluster.config, *options],
        env={"SLURMD_NODENAME": node},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def features(cluster: Cluster, node: str) -> set[str]:
    """Return the node's features, which are all active."""
    text = cluster.lab.check_run(["sinfo", "-h", "-N", "-n", node, "-o", "%f %b"]).splitlines()[0]
    available, active = text.split()
    assert available == active
    return set(available.split(","))


def extra(cluster: Cluster, node: str) -> dict[str, object]:
    """Return the node's Extra, {} where it has none."""
    text = cluster.lab.check_run(["sinfo", "-h", "-N", "-n", node, "-O", "Extra:8192"]).splitlines()[0].strip()
    found: dict[str, object] = {} if text in ("", "(null)") else json.loads(text)
    return found


def set_extra(cluster: Cluster, node: str, text: str) -> None:
    """Write the node's Extra."""
    cluster.lab.check_run(["scontrol", "update", f"NodeName={node}", f"Extra={text}"])
