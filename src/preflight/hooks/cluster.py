"""The name of the node's cluster, which every phase's reports carry: a node under two names would be two nodes.

A prolog or epilog has it of slurmd, SLURM_CLUSTER_NAME; slurmd tells its health check the node's name and nothing else
(run_script_health_check in Slurm's src/slurmd/slurmd/slurmd.c). So what a job's hook was told is kept, with where
slurmd's slurm.conf stands, for the health checks that come.
"""

from __future__ import annotations

import time

from preflight.files import read_json, tolerate, write_json

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.hooks.run import Run

MOST = 200  # letters that a collector takes
ASK_S = 2.0  # for a controller that is slow: the health check has other things to do
LEAST_S = 1.0


def cluster_of(run: Run) -> str:
    """Return the policy's cluster, else Slurm's ClusterName; "" where nobody tells it. Never raises.

    Only a health check asks the controller, and only where neither a file nor an earlier hook of this boot tells.
    """
    if run.policy.cluster:
        return run.policy.cluster
    place = f"{run.run_dir}/cluster-{run.node}.json"
    stored = read_json(place)
    if not isinstance(stored, dict) or not all(isinstance(stored.get(key), str) for key in ("cluster", "conf")):
        stored = {"cluster": "", "conf": ""}
    told = _name(run.job.cluster) if run.job else ""
    if told:
        if stored != {"cluster": told, "conf": run.slurm_conf}:
            _keep(place, told, run.slurm_conf)
        return told
    known, found = _name(stored["cluster"]), _in_files(run, stored["conf"])
    if known and known.lower() == found:  # as slurmd writes it
        return known
    return found or known or _asked(run, place)


def _in_files(run: Run, conf: str) -> str:
    """Return ClusterName, lower case: of ``conf``, which slurmd has told us, else of slurm.conf's usual places."""
    import os

    from preflight.slurm.gres.cache import conf_directory
    from preflight.slurm.gres.syntax import ConfError, Files

    if conf:
        directory, name = os.path.split(conf)
    else:
        directory, name = conf_directory(run.policy.hook.slurm_conf or run.slurm_conf), "slurm.conf"
    files = Files()
    with tolerate(ConfError):
        for _ in files.lines(directory, name):
            pass
    return _name(files.cluster)


def _asked(run: Run, place: str) -> str:
    """Return ClusterName as the controller says it, in a health check."""
    if run.phase != "health":
        return ""
    from preflight.slurm.commands import SlurmError
    from preflight.slurm.conf_file import in_lines

    slurm = run.slurm()
    if slurm.deadline - time.monotonic() < LEAST_S:
        return ""
    try:
        shown = slurm._replace(each_s=ASK_S).run("scontrol", "show", "config")
    except SlurmError:
        return ""
    name = _name(in_lines(shown.split("\n"), "ClusterName"))
    if name:
        _keep(place, name, "")
    return name


def _keep(place: str, cluster: str, conf: str) -> None:
    with tolerate(OSError):  # a full or read-only file system only costs the next one a look
        write_json(place, {"cluster": cluster, "conf": conf})


def _name(text: str) -> str:
    return text if len(text) <= MOST and text.isprintable() else ""
