"""Slurm's own terms of a component, held against a node: hosts, features, GPUs, CPUs, memory."""

from __future__ import annotations

from collections.abc import Mapping

from preflight.hostlist import HostlistError, names
from preflight.slurm.models import Node
from preflight.submit.gpu_types import profile_of
from preflight.submit.plan import constraint
from preflight.submit.plan.gres import gpus_of, noun, others_of, shares_of, written
from preflight.submit.plan.model import PlanError
from preflight.submit.script import Asked
from preflight.tuples import NamedTuple


class Gpus(NamedTuple):
    """GPUs on each node: ``exact`` where it is one number for all, ``least`` else; ``type`` as --gres names it.

    ``shares``: how many shares of a GPU, by the plugin ("shard", "mps").
    """

    exact: int | None
    least: int
    type: str | None
    shares: tuple[tuple[str, int], ...] = ()


class Lack(NamedTuple):
    """Something of Slurm's own that a node has too little of: "GPUs < 4", and what it has: "2 GPUs"."""

    what: str
    detail: str
    of_gpus: bool = False


class Terms(NamedTuple):
    """What a component's options ask, made ready. ``only``: hosts it is confined to, None where it is not.

    ``others``: generic resources beside GPUs: name, type ("" for any), number. ``one_gpu``: the most shares that one
    GPU of a node has, where a job can have no more.
    """

    excluded: frozenset[str]
    required: frozenset[str]
    only: frozenset[str] | None
    features: constraint.Constraint
    constraint: str
    gpus: Gpus | None
    memory: int
    cpus: int
    needed: int
    others: tuple[tuple[str, str, int], ...] = ()
    exclusive: bool = False
    one_gpu: Mapping[str, Mapping[str, int]] = {}

    def left_out(self, node: Node) -> tuple[str, ...]:
        """Return the user's own options that keep the job from a node."""
        found: tuple[str, ...] = ()
        if node.name in self.excluded:
            found += ("--exclude",)
        if self.only is not None and node.name not in self.only:
            found += ("--nodelist",)
        if not self.features.allows(node.active):
            found += (f"--constraint={self.constraint}",)
        return found

    def lacks(self, node: Node, published: int | None = None) -> list[Lack]:
        """Return what a node has too little of, as Slurm knows; of GPUs it must have ``published`` so many as well.

        ``published``: `gres.published` of the type that is asked.
        """
        found = []
        if self.gpus is not None:
            have = gpus_of(node.gres, self.gpus.type)
            kind = f"{self.gpus.type} " if self.gpus.type else ""
            what = f"{kind}{'MIG devices' if profile_of(self.gpus.type) else 'GPUs'} < {self.gpus.least}"
            if have < self.gpus.least:
                other = written(node.gres, self.gpus.type or "")
                found.append(Lack(what, f"Slurm calls them {other}" if other else noun(have, self.gpus.type), True))
            elif published is not None and published < self.gpus.least:
                found.append(Lack(what, f"publishes {noun(published, self.gpus.type)}", True))
            found += _lacking_shares(node, self.gpus, self.one_gpu.get(node.name, {}), self.exclusive)
        found += _lacking_others(node, self.others)
        if node.memory and self.memory > node.memory:
            found.append(Lack(f"memory < {self.memory} MiB", f"{node.memory} MiB"))
        if node.cpus and self.cpus > node.cpus:
            found.append(Lack(f"CPUs < {self.cpus}", f"{node.cpus} CPUs"))
        return found


def _lacking_shares(node: Node, gpus: Gpus, one_gpu: Mapping[str, int], exclusive: bool) -> list[Lack]:
    """Return the shares of which a node, or one GPU of it, has too few; a job that is alone there takes all of them."""
    found = []
    for name, number in gpus.shares:
        have = shares_of(node.gres, name, gpus.type)
        if have < number:
            found.append(Lack(f"{name} < {number}", f"{have or 'no'} {name}"))
        elif name in one_gpu and one_gpu[name] < (have if exclusive else number):
            what = f"{name} on one GPU < {have if exclusive else number}"
            found.append(Lack(what, f"{one_gpu[name]}; Slurm gives a job those of one GPU, --exclusive takes all"))
    return found


def _lacking_others(node: Node, others: tuple[tuple[str, str, int], ...]) -> list[Lack]:
    found = []
    for name, kind, number in others:
        have = others_of(node.gres, name, kind)
        if have < number:
            found.append(Lack(f"{name}{':' if kind else ''}{kind} < {number}", f"{have or 'no'} {name}"))
    return found


def terms_of(asked: Asked) -> Terms:
    """Return a component's terms; raises PlanError for a host list that is none."""
    excluded, required = _hosts("--exclude", asked.exclude), _hosts("--nodelist", asked.nodelist)
    least, most = asked.nodes or (max(1, len(required)), max(1, len(required)))
    tasks = asked.ntasks_per_node or 1
    return Terms(
        excluded,
        required,
        required if required and most <= len(required) else None,
        constraint.read(asked.constraint),
        asked.constraint,
        _gpus(asked, least == most == 1),
        asked.mem or 0,
        max((asked.cpus_per_task or 1) * tasks, asked.mincpus or 1),
        max(least, len(required)),
        tuple((name, kind, number) for name, kinds in asked.others.items() for kind, number in kinds.items()),
        asked.exclusive == "",
    )


def _hosts(option: str, text: str) -> frozenset[str]:
    try:
        return frozenset(names(text))
    except HostlistError as error:
        raise PlanError(f"{option}={text}: {error}") from None


def _gpus(asked: Asked, one_node: bool) -> Gpus | None:
    """Return how many GPUs each node must give: no more is claimed than every way to spread them has."""
    want = asked.gpus
    if want is None:
        return None
    exact = want.per_node
    if exact is None and want.total is not None and one_node:
        exact = want.total
    if exact is None and want.per_task is not None and (asked.ntasks_per_node or one_node):
        exact = want.per_task * (asked.ntasks_per_node or asked.ntasks or 1)
    least = exact or max(want.per_task or 1, want.per_socket or 1)
    return Gpus(exact, least, want.type, want.shares)
