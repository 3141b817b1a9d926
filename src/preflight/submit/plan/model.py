"""What plan answers with. Texts in it may come from users and from Slurm: they are cleaned where they are shown."""

from __future__ import annotations

from preflight.requirements.grammar import Clause
from preflight.submit.infer import Inference
from preflight.submit.script import Asked
from preflight.tuples import NamedTuple


class PlanError(ValueError):
    """A mistake in what the job asks: str() is one line, and for a requirement the text with a caret under it."""


class Need(NamedTuple):
    """One clause and where it comes from.

    ``source``: "--require", "comment" or "inferred". ``line``: of the script, 0 elsewhere. ``text``: that line, or the
    option as it was given; ``why``: the evidence of an inferred one, ``package``: whose code asks it.
    """

    clause: Clause
    source: str
    line: int
    text: str
    why: str = ""
    package: str = ""


class Wants(NamedTuple):
    """What one component asks: Slurm's own options, the ``needs`` that bind, the ``inferred`` ones that only warn."""

    asked: Asked
    needs: tuple[Need, ...]
    inferred: tuple[Need, ...]


class Group(NamedTuple):
    """Nodes that are alike in one thing: ``what`` names it, ``detail`` says what these nodes have. Names are sorted."""

    what: str
    detail: str
    nodes: tuple[str, ...]


class Change(NamedTuple):
    """Something the user may change: the text for people, and the nodes that would fit besides."""

    text: str
    nodes: tuple[str, ...]


class Inferring(NamedTuple):
    """How an inferred need fares on the nodes that fit: those on which it fails, and on which it is not known.

    ``builds``: of a package whose code is not for the GPUs, ``what`` would run on which of the nodes.
    """

    need: Need
    fails: tuple[Group, ...]
    untold: tuple[str, ...]
    builds: tuple[Group, ...] = ()


class Placement(NamedTuple):
    """What would be set so that Slurm picks nodes that fit: ``option`` "--extra" or "--constraint", its ``value``.

    ``not_placed``: (clause, why) of those that stay with the prolog. ``unmet``: clauses that no node of the cluster
    fits. ``problem``: why nothing can be set, "" where it can.
    """

    option: str
    value: str
    not_placed: tuple[tuple[Clause, str], ...]
    unmet: tuple[Clause, ...]
    problem: str = ""


UNPUBLISHED = "nothing published"


class Nodes(NamedTuple):
    """The nodes of a component's partitions, each in one of these.

    ``fit``      up, and all that nodes can publish is proven; ``idle`` of those.
    ``misfit``   one thing that each lacks.
    ``untold``   something asked for is not published, or not told; why.
    ``away``     would fit, but Slurm starts nothing there now: state and reason.
    ``left_out`` by the user's own --exclude, --nodelist or --constraint.
    ``caveats``  of nodes that fit: what holds with a warning.
    ``lacking``  nodes named in --nodelist that are not to be had, and why.
    """

    total: int
    fit: tuple[str, ...]
    idle: tuple[str, ...]
    misfit: tuple[Group, ...]
    untold: tuple[Group, ...]
    away: tuple[Group, ...]
    left_out: tuple[Group, ...]
    caveats: tuple[Group, ...]
    lacking: tuple[Group, ...]

    @property
    def nobody_publishes(self) -> bool:
        """Return whether nothing is known of any node that the job's own options leave."""
        told_nothing = sum(len(group.nodes) for group in self.untold if group.what == UNPUBLISHED)
        return 0 < told_nothing == self.total - sum(len(group.nodes) for group in self.left_out)


class Part(NamedTuple):
    """One component's plan. ``nodes`` and what follows are empty where no cluster was asked.

    ``partitions``: those that it may run in, the default one filled in. ``needed``: the least number of nodes.
    ``verified``: (clause, why) of those that only the prolog can verify, which are no reason to leave a node out.
    ``notes``: what is left to Slurm. ``unproven``: texts of the clauses that not every node which fits proves, as only
    the node itself tells them. ``no_partition``: a sentence for each partition asked for that has no node.
    """

    wants: Wants
    partitions: tuple[str, ...]
    needed: int
    verified: tuple[tuple[Clause, str], ...]
    nodes: Nodes | None = None
    inferring: tuple[Inferring, ...] = ()
    changes: tuple[Change, ...] = ()
    placement: Placement | None = None
    notes: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    no_partition: tuple[str, ...] = ()

    @property
    def enough(self) -> bool:
        """Return whether so many nodes fit as the component needs at least, those that it names among them."""
        return self.nodes is not None and len(self.nodes.fit) >= self.needed and not self.nodes.lacking


class Plan(NamedTuple):
    """The plan of a job. ``cluster_asked`` is False where no Slurm is installed, or where it did not answer
    (``problem`` says why then). ``infer``: "warn", "require" or "off".
    """

    script: str | None
    infer: str
    parts: tuple[Part, ...]
    inference: Inference
    cluster_asked: bool
    problem: str = ""
    notes: tuple[str, ...] = ()

    @property
    def enough(self) -> bool:
        """Return whether every component has enough nodes now."""
        return all(part.enough for part in self.parts)
