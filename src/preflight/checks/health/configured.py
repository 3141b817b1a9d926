"""The node against its line of slurm.conf: slurmctld sets one INVAL that has less (slurm.conf(5), NODES)."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, first_unknown, passed, skipped, untold
from preflight.checks.registry import Configured, Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)
MIB = 1 << 20
LINE = "slurmd -C prints the line that fits; if it is this machine's, a module or a processor has failed"


@check(
    "slurm.memory", reads=("memory",), phases=HEALTH, action="warn", remedy=LINE, subject="memory", source="slurm.conf"
)
def memory(context: Context, limit: float | None) -> Iterator[Finding]:
    """The node has the RealMemory that slurm.conf gives it: slurmd counts MiB as MemTotal has them."""
    said, total = context.configured, context.node.get("memory.total")
    if said is None or not said.memory_mib:
        yield _not_known(said, "RealMemory")
    elif isinstance(total, Unknown):
        yield untold(total)
    elif total // MIB < said.memory_mib:
        text = f"{total // MIB} MiB of memory, and RealMemory={said.memory_mib}"
        yield failed(text, observed=f"{total // MIB} MiB", expected=f">= {said.memory_mib} MiB")
    else:
        yield passed(f"{total // MIB} MiB of memory", expected=f">= {said.memory_mib} MiB")


@check("slurm.cpus", reads=("topology",), phases=HEALTH, action="warn", remedy=LINE, subject="cpu", source="slurm.conf")
def cpus(context: Context, limit: float | None) -> Iterator[Finding]:
    """The node has the cores and CPUs that slurm.conf gives it."""
    said = context.configured
    cores, threads = context.node.get("topology.cores"), context.node.get("topology.threads")
    unclear = first_unknown(cores, threads)
    if said is None or not (said.cpus or said.cores):
        yield _not_known(said, "CPUs")
    elif unclear:
        yield untold(unclear)
    else:
        asked = (said.sockets or 1) * said.cores
        wanted = [("cores", cores, asked), ("CPUs", threads, max(said.cpus, asked * said.threads))]
        short = [(name, have, need) for name, have, need in wanted if have < need]
        for name, have, need in short:
            yield failed(f"{have} {name}, and slurm.conf gives {need}", observed=have, expected=f">= {need} {name}")
        if not short:
            yield passed(f"{cores} cores, {threads} CPUs", observed=threads)


def _not_known(said: Configured | None, key: str) -> Finding:
    if said is not None and said.problem:
        return skipped(said.problem)
    return skipped(f"slurm.conf gives the node no {key}" if said is not None else "slurm.conf was not read")
