"""The back end that reads by Slurm's commands: nodes by sinfo, a job by squeue.

All nodes come from `scontrol show node`, which takes 0.1 s for 10,000 whatever they hold; where its text is not of a
known form (node_text.py), from sinfo. That groups nodes with equal fields, but compares each node with every group:
where thousands differ (by their Extra) it takes minutes. `scontrol show node --json` takes 2 to 6 s and prints 24 MB
(18 MB compact), so it comes last, on releases that have it. One job is read as JSON where squeue has all of it there
(24.11 on; only JSON has a job's Extra), else as fields.
"""

from __future__ import annotations

import time

from preflight.digits import is_whole
from preflight.slurm import job_fields, job_json, node_json, node_text
from preflight.slurm.commands import FEW, Slurm, SlurmError, SlurmTimeout
from preflight.slurm.fields import ask, hosts, value, words
from preflight.slurm.job_ids import parts, pick
from preflight.slurm.models import JobInfo, Node
from preflight.slurm.node import flags

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

NODE_FIELDS = (
    "NodeList", "PartitionName", "StateComplete", "Reason", "Features", "features_act", "Extra", "Gres", "CPUs",
    "Memory",
)  # fmt: skip
JSON_SINCE = (24, 11)
QUICK_S = 1.0  # seconds within which a command that fails has not waited for the controller
GROUPED_S = 2.0  # seconds that sinfo gets where JSON can take its place


def release(slurm: Slurm) -> tuple[int, ...]:
    """Return the release of Slurm's commands, such as (24, 11, 5); raises SlurmError."""
    said = slurm.run("sinfo", "-V").split()  # "slurm-wlm 22.05.8", "slurm 25.11.2-1"
    numbers = said[-1].split("-")[0].split(".") if said else []
    if len(numbers) < 2 or not all(is_whole(number) for number in numbers[:2]):
        raise SlurmError(f"sinfo -V said {' '.join(said)[:60]!r}, no release of Slurm")
    return tuple(int(number) for number in numbers if is_whole(number))


class ByCommands:
    """Reads nodes and jobs with the commands of ``slurm``."""

    def __init__(self, slurm: Slurm) -> None:
        self._slurm = slurm
        self._release: tuple[int, ...] = ()

    def release(self) -> tuple[int, ...]:
        """Return the release of Slurm's commands, asked once; raises SlurmError."""
        self._release = self._release or release(self._slurm)
        return self._release

    def nodes(self, names: set[str] | None = None) -> list[Node]:
        """Return the nodes of the cluster, those called ``names`` where given; raises SlurmError."""
        few = names is not None and len(names) <= FEW
        if not few:
            began = time.monotonic()
            try:
                every = node_text.read(self._slurm)
                return every if names is None else [node for node in every if node.name in names]
            except node_text.NotProven:
                pass
            except SlurmError as error:
                # A controller that is away is waited for once; a scontrol that is not there says so at once.
                if isinstance(error, SlurmTimeout) or time.monotonic() - began > QUICK_S:
                    raise
        only = ("-n", ",".join(sorted(names))) if names is not None and few else ()
        try:
            # A release without another way gets all the time there is.
            json = not few and self.release()[:2] >= JSON_SINCE
            quick = self._slurm._replace(each_s=min(GROUPED_S, self._slurm.each_s)) if json else self._slurm
            found = list(merged(ask(quick, "sinfo", ("-a", "-e", *only), NODE_FIELDS)))
        except SlurmTimeout:
            if not json:
                raise
            found = node_json.parsed(self._slurm.run("scontrol", "show", "node", "--json"))
        return found if names is None else [node for node in found if node.name in names]

    def job(self, text: str) -> JobInfo:
        """Return the job that ``text`` names; raises SlurmError where it is not in the queue."""
        each_task = ("-r",) if parts(text)[1] == "_" else ()
        try:
            found = self._jobs(("-a", "-t", "all", "-j", text, *each_task))
        except SlurmError as error:
            if "invalid job id" not in str(error).lower():
                raise
            found = []
        return pick(found, text)

    def _jobs(self, arguments: tuple[str, ...]) -> list[JobInfo]:
        if self.release()[:2] >= JSON_SINCE:
            return job_json.parsed(self._slurm.run("squeue", *arguments, "--json"))
        return job_fields.jobs(self._slurm, arguments)


def merged(rows: list[list[str]]) -> Iterator[Node]:
    """Yield the nodes of sinfo's rows: a row is a group of nodes with equal fields in one partition."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for nodes, partition, *fields in rows:
        groups.setdefault((nodes, *fields), []).append(partition)
    found: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for (nodes, *rest), partitions in groups.items():
        one = (tuple(rest), tuple(partitions))
        for name in hosts(nodes):
            if name in found:  # in a partition of which not all nodes of the group are
                found[name] = (one[0], tuple(dict.fromkeys(found[name][1] + one[1])))
            else:
                found[name] = one
    parsed: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[Any, ...]] = {}
    for name, group in found.items():
        if group not in parsed:
            parsed[group] = _parsed(*group)
        yield Node(name, *parsed[group])


def _parsed(fields: tuple[str, ...], partitions: tuple[str, ...]) -> tuple[Any, ...]:
    """Return a node's fields behind its name, in Node's order."""
    state, reason, features, active, extra, gres, cpus, memory = fields
    return (
        flags(state),
        value(reason),
        tuple(one for one in partitions if value(one)),
        words(features),
        words(active),
        value(extra),
        value(gres),
        _number(cpus),
        _number(memory),
    )


def _number(text: str) -> int:
    digits = text.strip()
    if not is_whole(digits):
        raise SlurmError(f"sinfo said {digits[:20]!r} where a number should be")
    return int(digits)
