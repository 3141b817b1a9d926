"""The variables that sbatch reads as options, of Slurm 22.05 to 26.05."""

from __future__ import annotations

from collections.abc import Mapping

from preflight.submit.options import Option
from preflight.submit.options_table import ROWS
from preflight.tuples import NamedTuple


class FromEnvironment(NamedTuple):
    """What the variables say: options that are set, and the names of flags that a variable takes back ("no")."""

    options: dict[str, Option]
    unset: tuple[str, ...]


# In the order in which sbatch reads them: of two that name one option the later counts.
VARIABLES = {
    "SBATCH_IGNORE_PBS": "ignore-pbs",
    "SBATCH_DEBUG": "verbose",
    "SBATCH_ACCOUNT": "account",
    "SBATCH_ARRAY_INX": "array",
    "SBATCH_ACCTG_FREQ": "acctg-freq",
    "SBATCH_BATCH": "batch",
    "SBATCH_BURST_BUFFER": "bb",
    "SBATCH_CLUSTER_CONSTRAINT": "cluster-constraint",
    "SBATCH_CLUSTERS": "clusters",
    "SLURM_CLUSTERS": "clusters",
    "SBATCH_CONSOLIDATE_SEGMENTS": "consolidate-segments",
    "SBATCH_CONTAINER": "container",
    "SBATCH_CONTAINER_ID": "container-id",
    "SBATCH_CONTAINER_TYPE": "container-type",
    "SBATCH_CONSTRAINT": "constraint",
    "SBATCH_CORE_SPEC": "core-spec",
    "SBATCH_CPU_FREQ_REQ": "cpu-freq",
    "SBATCH_CPUS_PER_GPU": "cpus-per-gpu",
    "SBATCH_DELAY_BOOT": "delay-boot",
    "SBATCH_DISTRIBUTION": "distribution",
    "SBATCH_EXCLUSIVE": "exclusive",
    "SBATCH_EXPORT": "export",
    "SBATCH_GET_USER_ENV": "get-user-env",
    "SBATCH_GRES": "gres",
    "SBATCH_GRES_FLAGS": "gres-flags",
    "SBATCH_GPUS": "gpus",
    "SBATCH_GPU_BIND": "gpu-bind",
    "SBATCH_GPU_FREQ": "gpu-freq",
    "SBATCH_GPUS_PER_NODE": "gpus-per-node",
    "SBATCH_GPUS_PER_SOCKET": "gpus-per-socket",
    "SBATCH_GPUS_PER_TASK": "gpus-per-task",
    "SLURM_HINT": "hint",
    "SBATCH_HINT": "hint",
    "SBATCH_JOB_NAME": "job-name",
    "SBATCH_MEM_BIND": "mem-bind",
    "SBATCH_MEM_PER_CPU": "mem-per-cpu",
    "SBATCH_MEM_PER_GPU": "mem-per-gpu",
    "SBATCH_MEM_PER_NODE": "mem",
    "SBATCH_NETWORK": "network",
    "SBATCH_NO_KILL": "no-kill",
    "SBATCH_NO_REQUEUE": "no-requeue",
    "SBATCH_OPEN_MODE": "open-mode",
    "SBATCH_OVERCOMMIT": "overcommit",
    "SBATCH_PARTITION": "partition",
    "SBATCH_POWER": "power",
    "SBATCH_PROFILE": "profile",
    "SBATCH_QOS": "qos",
    "SBATCH_REQUEUE": "requeue",
    "SBATCH_RESERVATION": "reservation",
    "SBATCH_SEGMENT_SIZE": "segment",
    "SBATCH_SIGNAL": "signal",
    "SBATCH_SPREAD_JOB": "spread-job",
    "SBATCH_SPREAD_SEGMENTS": "spread-segments",
    "SBATCH_THREAD_SPEC": "thread-spec",
    "SBATCH_THREADS_PER_CORE": "threads-per-core",
    "SBATCH_TIMELIMIT": "time",
    "SBATCH_TRES_BIND": "tres-bind",
    "SBATCH_TRES_PER_TASK": "tres-per-task",
    "SBATCH_USE_MIN_NODES": "use-min-nodes",
    "SBATCH_WAIT": "wait",
    "SBATCH_WAIT_ALL_NODES": "wait-all-nodes",
    "SBATCH_WCKEY": "wckey",
    "SBATCH_ERROR": "error",
    "SBATCH_INPUT": "input",
    "SBATCH_OUTPUT": "output",
}
# Of the plugins. A job that is submitted from inside a job takes over no requirement (slurm_plugin/preflight.c);
# pyxis looks at its variable where the option is not given.
REQUIRE = "SLURM_SPANK__SLURM_SPANK_OPTION_preflight_require"
IMAGE = "PYXIS_CONTAINER_IMAGE"


def read_environment(environment: Mapping[str, str]) -> FromEnvironment:
    """Return the options that variables set, by long name."""
    options: dict[str, Option] = {}
    unset: list[str] = []
    for variable, name in VARIABLES.items():
        value = environment.get(variable)
        if value is None:
            continue
        row = ROWS[name]
        text = f"{variable}={value}"
        if row.takes == "flag" and name != "verbose":
            if _means_yes(value):
                options[name] = Option(None, "environment", 0, text)
            else:
                options.pop(name, None)
                unset.append(name)
        else:
            given = None if row.takes == "optional" and not value else value
            options[name] = Option(given, "environment", 0, text)
    if REQUIRE in environment and "SLURM_JOB_ID" not in environment:
        options["require"] = Option(environment[REQUIRE], "environment", 0, f"{REQUIRE}={environment[REQUIRE]}")
    return FromEnvironment(options, tuple(unset))


def pyxis_image(environment: Mapping[str, str]) -> Option | None:
    """Return the container image that the environment names, for a job whose options name none."""
    value = environment.get(IMAGE)
    return Option(value, "environment", 0, f"{IMAGE}={value}") if value else None


def _means_yes(value: str) -> bool:
    """Tell whether a variable sets a flag: empty, "yes" and whole numbers but zero do."""
    if not value or value.lower() == "yes":
        return True
    try:
        return int(value) != 0
    except ValueError:
        return False


def host_file(environment: Mapping[str, str]) -> Option | None:
    """Return the file of hosts that SLURM_HOSTFILE names, for a job whose options name no nodes."""
    value = environment.get("SLURM_HOSTFILE")
    if not value:
        return None
    return Option(value if "/" in value else f"./{value}", "environment", 0, f"SLURM_HOSTFILE={value}")
