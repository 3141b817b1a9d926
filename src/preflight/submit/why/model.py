"""What an explanation is made from, and what it is."""

from __future__ import annotations

from typing import Any, NamedTuple

from preflight.slurm.accounting import Memory, Run
from preflight.slurm.job_asks import Asks
from preflight.slurm.models import JobInfo, Node
from preflight.slurm.reservations import Reservation
from preflight.submit.why.limits import Bound

Report = dict[str, Any]

# What became of the job; `docs/why.md` lists them. Programs read these words: add some, rename none.
KINDS = (
    "waiting",
    "moved",
    "no-node-fits",
    "held-by-preflight",
    "held-after-node-failure",
    "held-by-user",
    "held-by-admin",
    "held-by-slurm",
    "running",
    "running-unfit",
    "leaving",
    "completed",
    "failed",
    "out-of-memory",
    "timeout",
    "node-fail",
    "preempted",
    "stopped-node-unhealthy",
    "cancelled-by-preflight",
    "cancelled",
    "ended",
    "reported",
    "several",
)


class JobRef(NamedTuple):
    """A job as its user writes it: 123, task 4 of array 123 as 123_4, component 1 of a heterogeneous job as 123+1."""

    job: int
    task: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        if self.task is not None:
            return f"{self.job}_{self.task}"
        return str(self.job) if self.offset is None else f"{self.job}+{self.offset}"


class Candidates(NamedTuple):
    """The nodes that a waiting job may still get, by what they publish: those that it excludes are not among them.

    ``away`` would fit, but no job starts there now. Of ``untold`` only a prolog can tell. ``misfit`` are (what they
    lack, nodes). ``needed``: how many nodes the job asks for at least.
    """

    fit: tuple[str, ...]
    away: tuple[str, ...]
    untold: tuple[str, ...]
    misfit: tuple[tuple[str, tuple[str, ...]], ...]
    needed: int


class More(NamedTuple):
    """What only some answers need: each is empty where it is no question, or Slurm did not say.

    ``bound``: the limit that holds the job back. ``partition``: what its partition sets. ``runs``: earlier ones, by
    accounting. ``memory``: asked and used.
    ``lowered``: the exit code may be 128 higher than accounting has it.
    """

    asks: Asks = Asks()
    bound: Bound | None = None
    reservations: tuple[Reservation, ...] = ()
    partition: dict[str, str] = {}  # noqa: RUF012 - a default, never written
    runs: tuple[Run, ...] = ()
    memory: Memory = Memory()
    lowered: bool = False


class Evidence(NamedTuple):
    """All that is known of one job. ``now`` is seconds since the epoch.

    ``job`` None: neither the queue nor accounting knows it (``unreached`` says why where Slurm was not reached at
    all). ``source`` is "queue" or "accounting"; only accounting knows ``ended_by``, the uid that cancelled it.
    ``reports`` are of this job and of no earlier one that had its number. ``nodes``: those that matter, as they are
    now. ``fits`` are lines about which nodes fit, for a job that no node can take; ``left`` is judged for one that was
    sent away, None where it is no question or cannot be told.
    """

    label: str
    now: float
    job: JobInfo | None = None
    source: str = ""
    ended_by: int | None = None
    reports: tuple[Report, ...] = ()
    nodes: dict[str, Node] = {}  # noqa: RUF012 - a default, never written
    unreached: str = ""
    fits: tuple[str, ...] = ()
    left: Candidates | None = None
    notes: tuple[str, ...] = ()
    more: More = More()


class Step(NamedTuple):
    """Something to do next: in words, and what to type ("" for nothing); ``who`` is "user" or "admin"."""

    text: str
    commands: tuple[str, ...] = ()
    who: str = "user"


class RunOutcome(NamedTuple):
    """One run of the job on nodes that fared alike: when it was judged, what came of it, and why.

    ``outcome``: ready, degraded, unknown, moved, held, cancelled, drained, unfit (did not fit and ran all the same),
    unhealthy (faulty and used all the same). ``started`` is None where only AdminComment tells of it. ``spared`` says
    why nothing was done about a node that did not fit or was faulty, "" where something was.
    """

    run: int
    nodes: str
    started: float | None
    outcome: str
    because: str = ""
    spared: str = ""


class Explanation(NamedTuple):
    """The explanation: ``kind`` is one of KINDS, ``cause`` narrows it down, ``sentence`` says it.

    ``exit_code`` is Slurm's "CODE:SIGNAL" of a job that failed.
    ``parts`` are the explanations of groups of tasks or of components, each with its own ``label``.
    """

    label: str
    kind: str
    sentence: str
    cause: str = ""
    stays: tuple[RunOutcome, ...] = ()
    lines: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    state: str = ""
    reason: str = ""
    verdict: str = ""
    source: str = ""
    exit_code: str = ""
    parts: tuple[Explanation, ...] = ()


def away(node: Node) -> bool:
    """Return whether no job starts on the node now."""
    return any(flag.startswith(("DRAIN", "DOWN", "FAIL")) for flag in node.state)
