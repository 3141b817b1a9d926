"""A node in Slurm: its state and reason, draining and resuming it."""

from __future__ import annotations

import time

from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.fields import ask, hosts
from preflight.tuples import NamedTuple

PREFIX = "preflight:"
# The last two say what kind of node it is, and never go away.
DRAINED = ("DRAIN", "IDLE", "MIXED", "ALLOCATED", "CLOUD", "DYNAMIC_NORM")
# Jobs that are leaving or are to come; nothing of it is amiss, and a node may be reserved for months.
BESIDE = ("COMPLETING", "RESERVED", "PLANNED")
STATE = ("StateComplete", "Reason", "User", "Timestamp")
NODES = ("NodeList", *STATE)
WHOLE = 64 << 20  # bytes of sinfo's answer where each of many thousand nodes has a row of its own
# What 24.11 and later append to a drained node's reason when the node is away for SlurmdTimeout, as at a reboot.
NOT_RESPONDING = " : Not responding"
AWAY = ("DRAIN", "DOWN", "FAIL")


class NodeState(NamedTuple):
    """``flags``: the state's words ("IDLE", "DRAIN"); reason, who set it and when, as Slurm prints them."""

    flags: tuple[str, ...]
    reason: str
    user: str
    time: str

    @property
    def away(self) -> bool:
        """Return whether the node is drained, down or failing already, by anyone."""
        return any(flag.startswith(AWAY) for flag in self.flags)

    @property
    def drained(self) -> bool:
        """Return whether the node is drained and nothing else is amiss; it may have jobs, or be reserved for some."""
        return "DRAIN" in self.flags and all(flag in (*DRAINED, *BESIDE) for flag in self.flags)

    @property
    def only_drained(self) -> bool:
        """Return whether DRAIN is the only flag beside the base state of a sound node."""
        return "DRAIN" in self.flags and all(flag in DRAINED for flag in self.flags)

    @property
    def came_back_drained(self) -> bool:
        """Return whether the node is drained and DOWN and answers again: with ReturnToService 0 or 1 what a reboot of a
        drained node leaves."""
        return {"DRAIN", "DOWN"} == set(self.flags)

    @property
    def stem(self) -> str:
        """Return the reason without what Slurm appended to it when the node was rebooted."""
        return self.reason.removesuffix(NOT_RESPONDING)


class Look(NamedTuple):
    """All nodes at one moment: the state of ours, how many there are, (time, node) of each drain with our reason.

    ``ours`` is in order of time, then name: the same for every node that looks.
    """

    state: NodeState
    nodes: int
    ours: tuple[tuple[str, str], ...]

    def rank(self, node: str) -> int:
        """Return how many of our drains stand before that of ``node``, all of them where it has none."""
        names = [name for _, name in self.ours]
        return names.index(node) if node in names else len(names)


def read(slurm: Slurm, node: str) -> NodeState:
    """Return the node's state, all of one moment; raises SlurmError."""
    rows = ask(slurm, "sinfo", ("-a", "-n", node), STATE)
    if not rows:
        raise SlurmError(f"Slurm does not know node {node}")
    state, *others = rows[0]
    return NodeState(flags(state), *(text.strip() for text in others))


def flags(text: str) -> tuple[str, ...]:
    """Return the words of a state as sinfo's StateComplete has it: ("IDLE", "DRAIN") of "idle+drain"."""
    words = (word.strip() for word in text.upper().replace("*", "").split("+"))
    return tuple({"DRAINED": "DRAIN", "DRAINING": "DRAIN"}.get(word, word) for word in words)


def stamp(seconds: float) -> str:
    """Return a time (seconds since the epoch) as Slurm's commands print it in NodeState.time."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))


def drain(slurm: Slurm, node: str, reason: str) -> None:
    """Drain ``node``. Only for a node that is not away already: the command overwrites an existing reason."""
    slurm.run("scontrol", "update", f"NodeName={node}", "State=DRAIN", f"Reason={reason}")


def resume(slurm: Slurm, node: str) -> None:
    """Resume ``node``."""
    slurm.run("scontrol", "update", f"NodeName={node}", "State=RESUME")


def look(slurm: Slurm, node: str) -> Look:
    """Return ``node``'s state and all drains that are ours, in one command; raises SlurmError.

    A node counts as drained by us while it is drained, and its reason is one of ours and nothing else was appended to
    it: 24.11 leaves the reason on a node that was resumed, and appends the next one to it. Without -N: with it sinfo
    takes 20 s for 10,000 nodes.
    """
    every: set[str] = set()
    ours: set[tuple[str, str]] = set()
    own = None
    for names, *fields in ask(slurm._replace(limit=WHOLE), "sinfo", ("-a",), NODES):
        here = hosts(names)
        every.update(here)
        words, *texts = (text.strip() for text in fields)
        state = NodeState(flags(words), *texts)
        if "DRAIN" in state.flags and state.stem.startswith(PREFIX) and " : " not in state.stem:
            ours.update((state.time, name) for name in here)
        if node in here:
            own = state
    if own is None:
        raise SlurmError(f"Slurm does not know node {node}")
    return Look(own, len(every), tuple(sorted(ours)))


def slurm_user(slurm: Slurm) -> str:
    """Return the name of SlurmUser, under which Slurm itself sets reasons; raises SlurmError."""
    for line in slurm.run("scontrol", "show", "config").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "SlurmUser":
            return value.strip().partition("(")[0]
    raise SlurmError("scontrol show config names no SlurmUser")
